"""The checks: pure functions over `PostgreSQLFacts`. They count towards the component Database."""

from __future__ import annotations

import datetime as dt
from typing import Any

from readiness.api import Finding, check, failed, not_applicable, passed, scaled, warn

from .facts import PostgreSQLFacts

REACH = "database.postgresql.connect"
MONITOR = "pg_monitor"
AS_OF = "2026-11-23"
END_OF_LIFE = {
    13: dt.date(2025, 11, 13),
    14: dt.date(2026, 11, 12),
    15: dt.date(2027, 11, 11),
    16: dt.date(2028, 11, 9),
    17: dt.date(2029, 11, 8),
    18: dt.date(2030, 11, 14),
}


@check(
    id=REACH,
    component="database",
    severity="critical",
    effort="hours",
    fix="psql \"$POSTGRESQL_DSN\" -c 'SELECT 1'  # from the auditor's machine: name, firewall, pg_hba.conf, password",
    verify='psql "$POSTGRESQL_DSN" -c "SELECT version()"',
    reference="https://www.postgresql.org/docs/current/auth-pg-hba-conf.html",
    verdicts=("pass", "fail"),
)
def connect(postgresql: PostgreSQLFacts) -> Finding:
    """The primary answers.

    Every other check of PostgreSQL builds on this one. A standby answers too, but takes no writes, and most of its
    statistics are its own: audit the primary.
    """
    state = f"PostgreSQL {postgresql.version}"
    if postgresql.in_recovery:
        return failed(f"{state} is a standby, or still recovers", observed="in recovery", expected="a primary")
    return passed(f"{state} answers", observed=state, expected="a primary")


@check(
    id="database.postgresql.version",
    component="database",
    severity="high",
    requires=REACH,
    effort="days",
    fix="pg_upgrade to the next major version, after a test with a copy of the data",
    verify='psql "$POSTGRESQL_DSN" -c "SHOW server_version"',
    reference="https://www.postgresql.org/support/versioning/",
)
def version(postgresql: PostgreSQLFacts, *, days: int = 180) -> Finding:
    """The major version still gets security fixes for half a year.

    Each one is supported for five years. By the project's table of 2026-11-23; a version that is newer passes.
    """
    text = postgresql.version.partition(".")[0]
    major = int(text) if text.isdigit() else 0
    expected = f"more than {days} days of support"
    if major > max(END_OF_LIFE):
        return passed(f"{text} is newer than the table of {AS_OF}", observed=postgresql.version, expected=expected)
    ends = END_OF_LIFE.get(major)
    if ends is None:
        return failed(f"{postgresql.version} gets no fixes any more", observed=postgresql.version, expected=expected)
    left, observed = (ends - postgresql.now.date()).days, f"{postgresql.version}, until {ends}"
    if left < 0:
        return failed(f"{major} got its last fix on {ends}", observed=observed, expected=expected)
    return (passed if left > days else warn)(f"{major} is supported until {ends}", observed=observed, expected=expected)


@check(
    id="database.postgresql.connections",
    component="database",
    severity="high",
    requires=REACH,
    effort="hours",
    fix="Put PgBouncer in front (pool_mode = transaction), or lower the pool size of the application's instances",
    verify='psql "$POSTGRESQL_DSN" -c "SELECT backend_type, count(*) FROM pg_stat_activity GROUP BY 1"',
    reference="https://www.postgresql.org/docs/current/runtime-config-connection.html",
)
def connections(postgresql: PostgreSQLFacts, *, good: float = 0.7, bad: float = 0.9) -> Finding:
    """There are connections left for the next instance of the application.

    Beyond max_connections, less those reserved for superusers, every new client is refused, also the one that should
    repair it. Full credit to 70 %, none from 90 %: a deployment opens a second set before it closes the first.
    """
    limit = max(1, postgresql.sessions_limit)
    evidence = {"sessions": postgresql.sessions, "limit": limit}
    what = f"use of {limit} connections"
    return scaled(postgresql.sessions / limit, good=good, bad=bad, what=what, unit="%", evidence=evidence)


@check(
    id="database.postgresql.transactions",
    component="database",
    severity="high",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="ALTER SYSTEM SET idle_in_transaction_session_timeout = '60s'; SELECT pg_reload_conf();",
    verify='psql "$POSTGRESQL_DSN" -c "SELECT pid, state, xact_start, query FROM pg_stat_activity ORDER BY 3 LIMIT 5"',
    reference="https://www.postgresql.org/docs/current/routine-vacuuming.html",
)
def transactions(
    postgresql: PostgreSQLFacts, *, idle: tuple[float, float] = (60, 600), running: tuple[float, float] = (900, 14400)
) -> Finding:
    """No transaction stays open.

    An open one keeps its locks, and keeps VACUUM from removing any row that was deleted since it began: tables bloat,
    and everything gets slower. One that is idle waits for an application that forgot it. Seconds from which on credit
    is lost, and from which on there is none.
    """
    forgotten = scaled(
        postgresql.idle_in_transaction, good=idle[0], bad=idle[1], what="the longest idle transaction", unit="s"
    )
    longest = scaled(
        postgresql.oldest_transaction, good=running[0], bad=running[1], what="the longest transaction", unit="s"
    )
    return min(forgotten, longest, key=_earned)


def _earned(finding: Finding) -> float:
    return {"pass": 1.0, "fail": 0.0}.get(finding.status.value, float(finding.credit or 0.5))


@check(
    id="database.postgresql.wraparound",
    component="database",
    severity="critical",
    requires=REACH,
    effort="hours",
    fix="VACUUM (FREEZE, VERBOSE);  -- in the oldest database, after ending transactions and dropping unused slots",
    verify='psql "$POSTGRESQL_DSN" -c "SELECT datname, age(datfrozenxid) FROM pg_database ORDER BY 2 DESC"',
    reference="https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-WRAPAROUND",
)
def wraparound(postgresql: PostgreSQLFacts, *, bad: int = 1_600_000_000) -> Finding:
    """Old transactions are frozen long before their ids run out.

    There are two thousand million ids; at the end the server stops taking writes. From autovacuum_freeze_max_age on, it
    vacuums on its own account, so twice that age says that it cannot keep up. At 1.6 thousand million
    (vacuum_failsafe_age) it drops everything else to get it done.
    """
    good = min(2 * postgresql.freeze_max_age, bad // 2)
    return scaled(postgresql.frozen_age, good=good, bad=bad, what="the oldest unfrozen id", unit="transactions old")


@check(
    id="database.postgresql.durability",
    component="database",
    severity="critical",
    requires=REACH,
    effort="minutes",
    fix="ALTER SYSTEM RESET fsync; ALTER SYSTEM RESET full_page_writes; SELECT pg_reload_conf();",
    verify='psql "$POSTGRESQL_DSN" -c "SELECT name, setting FROM pg_settings WHERE name ~ \'fsync|page_w|s_commit\'"',
    reference="https://www.postgresql.org/docs/current/runtime-config-wal.html",
)
def durability(postgresql: PostgreSQLFacts) -> Finding:
    """What was committed survives a crash.

    Without fsync or full_page_writes, a power cut can corrupt the whole cluster beyond repair. Without
    synchronous_commit the last transactions are lost, but nothing else.
    """
    wrong = [name for name in ("fsync", "full_page_writes") if not getattr(postgresql, name)]
    expected = "fsync and full_page_writes on, synchronous_commit not off"
    if wrong:
        observed = f"{' and '.join(wrong)} off"
        return failed(f"{observed}: a crash can corrupt all data", observed=observed, expected=expected)
    commit = postgresql.synchronous_commit
    more: dict[str, Any] = {"observed": f"both on, synchronous_commit {commit}", "expected": expected}
    if commit == "off":
        return warn("synchronous_commit is off: a crash loses the last transactions", **more)
    return passed("commits are on disk before they are confirmed", **more)


@check(
    id="database.postgresql.encryption",
    component="database",
    severity="high",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Set ssl = on, and hostssl instead of host in pg_hba.conf; sslmode=verify-full in the clients",
    verify='psql "$POSTGRESQL_DSN" -c "SELECT ssl, count(*) FROM pg_stat_ssl GROUP BY ssl"',
    reference="https://www.postgresql.org/docs/current/ssl-tcp.html",
)
def encryption(postgresql: PostgreSQLFacts) -> Finding:
    """Clients on other machines use TLS.

    Without it, whoever is on the way reads every row, and can change the statements. Clients over loopback or a socket
    of the same machine are left out.
    """
    remote, plain = postgresql.remote, postgresql.unencrypted
    if remote == 0:
        return not_applicable("no client on another machine is connected", remote=0)
    more: dict[str, Any] = {"observed": f"{plain} of {remote} without", "expected": "all with TLS"}
    if plain == 0:
        return passed(f"all {remote} remote sessions use TLS", **more)
    verdict = failed if plain == remote else warn
    return verdict(f"{plain} of {remote} remote sessions without TLS", **more)


@check(
    id="database.postgresql.cache",
    component="database",
    severity="medium",
    requires=REACH,
    effort="days",
    fix="ALTER SYSTEM SET shared_buffers = '2GB';  -- about a quarter of the memory; needs a restart",
    verify='psql "$POSTGRESQL_DSN" -c "SELECT sum(blks_hit), sum(blks_read) FROM pg_stat_database"  # twice',
    reference="https://www.postgresql.org/docs/current/runtime-config-resource.html",
)
def cache(postgresql: PostgreSQLFacts, *, good: float = 0.99, bad: float = 0.90) -> Finding:
    """The blocks that queries need are in memory.

    Counted over the quiet window, not since the start of the server, whose average hides every change. What the
    operating system caches counts as read. 99 % is usual for a working set that fits. With less than 1,000 accesses
    there is nothing to judge.
    """
    evidence = {"accesses": postgresql.accesses, "seconds": round(postgresql.window_seconds, 1)}
    return scaled(postgresql.hit_rate, good=good, bad=bad, what="cache hit rate", unit="%", evidence=evidence)
