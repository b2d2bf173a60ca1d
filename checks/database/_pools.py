"""The application's connection pool from three sides: declared, observed on the server, exposed by the application."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from readiness.api import maybe, show
from readiness.facts.metrics import PoolMetrics
from readiness.facts.mongodb import MongoFacts, MongoMember
from readiness.facts.mongodb_client import ClientOptionsFacts
from readiness.facts.mongodb_server import ConnectionGroup
from readiness.facts.service import ServiceFacts

from ._drivers import applications_of, declared_in
from ._members import counted

DECLARED, OBSERVED, EXPOSED = "declared", "observed on the server", "exposed by the application"
NOTHING_DECLARED = "needs mongodb.app_uri or mongodb.options in the configuration"


def exposed(service: ServiceFacts | None) -> PoolMetrics | None:
    """The pool that the application's metrics tell of, or None where they are not there or tell of none."""
    return None if service is None else maybe(lambda: service.metrics.pool)


def bound(pool: PoolMetrics | None, name: str) -> int | None:
    """The `largest` or `smallest` size of a pool as the application exposes it."""
    value = None if pool is None else maybe(lambda: getattr(pool, name))
    return None if value is None else int(value)


def source(client: ClientOptionsFacts | None, option: str, exposed_value: int | None) -> tuple[int | None, str]:
    """A bound of the pool and who says so: the configuration, else the application's metrics."""
    declared: int | None = None
    if client is not None:
        declared = client.max_pool_size if option == "maxPoolSize" else client.min_pool_size
    if client is not None and declared is not None:
        return declared, declared_in(client, option)
    return exposed_value, EXPOSED


def three_ways(
    client: ClientOptionsFacts | None, mongo: MongoFacts | None, service: ServiceFacts | None
) -> Mapping[str, str]:
    """What each side says of the pool's size, in a sentence each; a side that says nothing says why."""
    return {
        DECLARED: _declared(client),
        OBSERVED: observed(client, mongo),
        EXPOSED: _exposed(exposed(service)),
    }


def _declared(client: ClientOptionsFacts | None) -> str:
    if client is None:
        return f"nothing: {NOTHING_DECLARED}"
    sizes = {"maxPoolSize": maybe(lambda: client.max_pool_size), "minPoolSize": maybe(lambda: client.min_pool_size)}
    given = [f"{name} {size}, {declared_in(client, name)}" for name, size in sizes.items() if size is not None]
    return "; ".join(given) or "neither maxPoolSize nor minPoolSize"


def observed(client: ClientOptionsFacts | None, mongo: MongoFacts | None) -> str:
    """How many connections the application has on each member, and from how many hosts."""
    if mongo is None:
        return "nothing: needs mongodb.uri in the configuration"
    members = maybe(lambda: mongo.readable)
    found = [] if members is None else [_on(client, member) for member in members]
    if not found or None in found:
        return "nothing: the server did not say"
    return "; ".join(text for text in found if text) or "no connection of the application"


def _on(client: ClientOptionsFacts | None, member: MongoMember) -> str | None:
    groups = maybe(partial(applications_of, client, member))
    if groups is None:
        return None
    if not groups:
        return ""
    count, least = sum(group.pool for group in groups), _least(groups)
    hosts = counted(len({group.host for group in groups}), "host")
    floor = "" if least is None else f", at least {least} in the window"
    return f"{member.address}: {counted(count, 'connection')} from {hosts}{floor}"


def _least(groups: list[ConnectionGroup]) -> int | None:
    return maybe(lambda: sum(group.least for group in groups))


def _exposed(pool: PoolMetrics | None) -> str:
    if pool is None:
        return "nothing: no metrics of a database pool (db_client_connection_*, mongodb_driver_pool_*)"
    values = {
        "open": maybe(lambda: pool.open),
        "in use": maybe(lambda: pool.used),
        "idle": maybe(lambda: pool.idle),
        "waiting": maybe(lambda: pool.waiting),
        "at most": maybe(lambda: pool.largest),
        "at least": maybe(lambda: pool.smallest),
    }
    told = ", ".join(f"{name} {show(int(value))}" for name, value in values.items() if value is not None)
    return f"{told} ({pool.family})"
