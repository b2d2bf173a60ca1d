"""What the application tells its MongoDB driver, read from its URI and options without ever connecting."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from readiness.facts.base import ABSENT, Fact, Facts

Count = Annotated[int, Field(ge=0)]


class ClientOptionsFacts(Facts):
    """The application's own client options; None is "not set", so the driver's default applies.

    Defaults differ from driver to driver, so nothing here is one; `driver` is its name where the configuration gives
    it. Times are milliseconds. `from_uri` is false where only options were given; then nothing is known of addresses,
    TLS and login. `beside` are the lower-case names of those that mongodb.options gives, which win over the URI.
    `compressors` are as written, even those that this machine's driver lacks. `refused` are options with values that no
    driver takes; they are absent. `max_staleness_seconds` is -1 where it is switched off.
    """

    from_uri: bool
    beside: tuple[str, ...] = ()
    driver: Fact[str | None] = None
    srv: bool = False
    seeds: Fact[tuple[str, ...]] = ABSENT
    loopback: Fact[bool] = ABSENT
    documentdb: bool = False
    unknown: Fact[tuple[str, ...]] = ()
    refused: Fact[tuple[str, ...]] = ()
    replica_set: Fact[str | None] = None
    direct: Fact[bool | None] = None
    max_pool_size: Fact[Count | None] = None
    min_pool_size: Fact[Count | None] = None
    max_connecting: Fact[Count | None] = None
    max_idle_ms: Fact[Count | None] = None
    wait_queue_ms: Fact[Count | None] = None
    server_selection_ms: Fact[Count | None] = None
    connect_ms: Fact[Count | None] = None
    socket_ms: Fact[Count | None] = None
    timeout_ms: Fact[Count | None] = None
    heartbeat_ms: Fact[Count | None] = None
    read_preference: Fact[str | None] = None
    max_staleness_seconds: Fact[int | None] = None
    retry_writes: Fact[bool | None] = None
    retry_reads: Fact[bool | None] = None
    write_concern: Fact[str | int | None] = None
    journal: Fact[bool | None] = None
    compressors: Fact[tuple[str, ...]] = ()
    app_name: Fact[str | None] = None
    tls: Fact[bool] = ABSENT
    tls_verified: Fact[bool] = ABSENT
    logs_in: Fact[bool] = ABSENT
    auth_mechanism: Fact[str | None] = None
    auth_source: Fact[str | None] = None
