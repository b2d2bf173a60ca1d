"""The only code of the pack that connects: what it reads, it reads in read-only transactions; it judges nothing."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from readiness.api import Context, ProbeError, absent, probe

from .facts import PostgreSQLFacts
from .settings import PostgreSQLSettings

if TYPE_CHECKING:
    import asyncpg

STATEMENT_MS = 5000
PRIVILEGE = "pg_monitor"

# Every value is cast to a type that the driver knows without asking the catalogue, and every answer is one row.
SERVER = """
SELECT current_setting('server_version') AS version,
       pg_is_in_recovery() AS in_recovery,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         AS sessions_limit,
       current_setting('autovacuum_freeze_max_age')::bigint AS freeze_max_age,
       current_setting('fsync')::bool AS fsync,
       current_setting('full_page_writes')::bool AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       (SELECT max(age(datfrozenxid))::bigint FROM pg_database) AS frozen_age,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid())
         AS sessions
"""
SESSIONS = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 AS oldest_transaction,
       coalesce(max(extract(epoch FROM clock_timestamp() - state_change))
         FILTER (WHERE state LIKE 'idle in transaction%'), 0)::float8 AS idle_in_transaction,
       count(*) FILTER (WHERE client_addr IS NOT NULL AND NOT client_addr << '127.0.0.0/8' AND client_addr <> '::1')
         AS remote,
       count(*) FILTER (WHERE client_addr IS NOT NULL AND NOT client_addr << '127.0.0.0/8' AND client_addr <> '::1'
         AND NOT coalesce(ssl, false)) AS unencrypted
  FROM pg_stat_activity LEFT JOIN pg_stat_ssl USING (pid)
 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
BLOCKS = "SELECT sum(blks_hit)::bigint AS hit, sum(blks_read)::bigint AS read FROM pg_stat_database"


def account(facts: PostgreSQLFacts | None) -> str:
    """For psql. The role reads statistics and settings, and no table."""
    return (
        "CREATE ROLE readiness LOGIN PASSWORD 'PASSWORD' CONNECTION LIMIT 3;\n"
        "GRANT pg_monitor TO readiness;  -- version 10 and later"
    )


@probe(
    needs="postgresql.dsn",
    windowed=True,
    section=("postgresql", PostgreSQLSettings),
    drivers=("asyncpg",),
    account=account,
    replaces="mongodb",
)
async def postgresql(settings: PostgreSQLSettings, context: Context) -> PostgreSQLFacts:
    """Settings and sessions once, block counters before and after the window."""
    assert settings.dsn is not None  # the engine runs no probe whose key is missing
    async with _connected(settings.dsn.get_secret_value(), context) as connection:
        server = await _one(connection, SERVER)
        sessions = await _sessions(connection)
        before, began = await _one(connection, BLOCKS), time.monotonic()
        # No transaction stays open in the window: that is what one of the checks is about.
        opened = await context.window.opened()
        await context.window.closed(opened)
        after, seconds = await _one(connection, BLOCKS), time.monotonic() - began
    version = str(server.pop("version", "")).split(" ")[0]
    return PostgreSQLFacts.model_validate(
        {
            "now": dt.datetime.now(dt.UTC),
            "version": version or absent("no server_version"),
            **server,
            **sessions,
            "window_seconds": seconds,
            "blocks_hit": _difference(before, after, "hit"),
            "blocks_read": _difference(before, after, "read"),
        }
    )


@contextlib.asynccontextmanager
async def _connected(dsn: str, context: Context) -> AsyncIterator[asyncpg.Connection]:
    """A connection under the limits of the audit. Every failure is a ProbeError without the credentials of the DSN."""
    import asyncpg

    try:
        connection = await asyncpg.connect(
            dsn,
            timeout=context.limits.connect_seconds + context.limits.handshake_seconds,
            command_timeout=context.limits.read_seconds,
            statement_cache_size=0,  # poolers between here and the server do not keep prepared statements
            server_settings={"application_name": context.user_agent},
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise ProbeError(_reason("cannot connect", error)) from None
    try:
        yield connection
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ProbeError(_reason("cannot read", error)) from None
    finally:
        connection.terminate()  # at once: closing politely would wait for a server that may not answer


async def _one(connection: asyncpg.Connection, query: str) -> dict[str, Any]:
    """The first row of a query, in a transaction of its own in which the server refuses to change anything."""
    async with connection.transaction(readonly=True):
        await connection.execute(f"SET LOCAL statement_timeout = {STATEMENT_MS}")
        row = await connection.fetchrow(query)
    return dict(row) if row is not None else {}


async def _sessions(connection: asyncpg.Connection) -> Mapping[str, Any]:
    """What the sessions of others do, which only a member of pg_read_all_stats sees; pg_monitor is one."""
    allowed = await _one(connection, "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS yes")
    if allowed.get("yes"):
        return await _one(connection, SESSIONS)
    hidden = absent("pg_stat_activity hides the sessions of other users", PRIVILEGE)
    return dict.fromkeys(("oldest_transaction", "idle_in_transaction", "remote", "unencrypted"), hidden)


def _difference(before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> Any:
    first, second = before.get(key), after.get(key)
    if not isinstance(first, int) or not isinstance(second, int):
        return absent("pg_stat_database has no counters")
    return second - first if second >= first else absent("the statistics were reset in the window")


def _reason(what: str, error: Exception) -> str:
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return f"{what}: {text}"
