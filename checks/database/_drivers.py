"""The application's own driver and its defaults, so that an option that is not set still has a known value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from readiness.api import maybe, show
from readiness.facts.mongodb import MongoFacts, MongoMember
from readiness.facts.mongodb_client import ClientOptionsFacts
from readiness.facts.mongodb_server import ConnectionGroup

from ._members import applications


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver: how it calls itself in connections, what people call it, and its defaults.

    Times are milliseconds, 0 is "no limit". `max_pool_size` is None where there is no pool, or where the default
    changed from version to version.
    """

    name: str
    metadata: tuple[str, ...]
    spoken: tuple[str, ...]
    max_pool_size: int | None = 100
    min_pool_size: int = 0
    max_connecting: int = 2
    max_idle_ms: int = 0
    wait_queue_ms: int = 0
    server_selection_ms: int = 30_000
    connect_ms: int = 30_000
    socket_ms: int = 0
    heartbeat_ms: int = 10_000


DRIVERS = (
    Driver("Node.js", ("nodejs",), ("node", "node.js", "mongoose", "javascript", "typescript")),
    Driver("PyMongo", ("pymongo",), ("python", "motor", "beanie", "mongoengine"), connect_ms=20_000),
    Driver(
        "the Java driver", ("mongo-java-driver",), ("java", "kotlin", "scala", "spring"),
        wait_queue_ms=120_000, connect_ms=10_000,
    ),
    Driver("the Go driver", ("mongo-go-driver",), ("go", "golang")),
    Driver(
        "the .NET driver", ("mongo-csharp-driver",), (".net", "dotnet", "c#", "csharp"),
        max_idle_ms=600_000, wait_queue_ms=120_000,
    ),
    Driver("the Rust driver", ("mongo-rust-driver",), ("rust",), max_pool_size=10, connect_ms=10_000),
    Driver("PHP", ("mongoc / ext-mongodb:php", "ext-mongodb"), ("php", "laravel"), max_pool_size=None,
           connect_ms=10_000, socket_ms=300_000, heartbeat_ms=60_000),
    Driver("the C driver", ("mongoc", "mongocxx"), ("c", "c++"), connect_ms=10_000, socket_ms=300_000),
)  # fmt: skip
"""Defaults by driver, from the "connection options" page of each under mongodb.com/docs/drivers, as of 2026-11."""


def identify(name: str) -> Driver | None:
    """The driver that calls itself so in a connection (`nodejs|Mongoose`), or that a person calls so."""
    text = name.strip().lower()
    for driver in DRIVERS:
        if text.startswith(driver.metadata) or text in driver.spoken:
            return driver
    return None


def driver_of(client: ClientOptionsFacts, mongo: MongoFacts | None) -> Driver | None:
    """The application's driver: the configured one, else the one that its connections name; None where unsure."""
    if client.driver:
        return identify(client.driver)
    kinds = {identify(group.driver) for group in own_groups(client, mongo)}
    return kinds.pop() if len(kinds) == 1 else None


def own_groups(client: ClientOptionsFacts | None, mongo: MongoFacts | None) -> list[ConnectionGroup]:
    """The connections of the application on all members, as far as these tell."""
    members = (maybe(lambda: mongo.readable) if mongo is not None else None) or ()
    return [group for member in members for group in maybe(partial(applications_of, client, member)) or ()]


def applications_of(client: ClientOptionsFacts | None, member: MongoMember) -> list[ConnectionGroup]:
    """The connections of the application on one member: those of its appName, or all that are an application's."""
    name = maybe(lambda: client.app_name) if client is not None else None
    return [group for group in applications(member.connections) if not name or group.app == name]


def effective(written: int | None, driver: Driver | None, option: str) -> int | None:
    """The value that applies: the one that is set, else the default of the driver where that is known."""
    if written is not None or driver is None:
        return written
    default: int | None = getattr(driver, option)
    return default


def described(client: ClientOptionsFacts, option: str, written: int | None, driver: Driver | None, field: str) -> str:
    """A value with where it comes from: `5,000 (declared in mongodb.app_uri)`, `30,000 (default of Node.js)`."""
    if written is not None:
        return f"{show(written)} ({declared_in(client, option)})"
    if driver is None:
        return "not set, and the driver is not known"
    value = effective(None, driver, field)
    return f"{show(value)} (default of {driver.name})" if value else f"no limit (default of {driver.name})"


def declared_in(client: ClientOptionsFacts, option: str) -> str:
    """Where an option was written."""
    beside = not client.from_uri or option.lower() in client.beside
    return f"declared in {'mongodb.options' if beside else 'mongodb.app_uri'}"
