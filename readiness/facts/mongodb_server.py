"""Parts of `MongoMember`: the counters and gauges of serverStatus, and what the server knows of clients and data."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, AliasPath, AwareDatetime, BeforeValidator, Field

from readiness.facts.base import ABSENT, Absent, Fact, Facts, absent

Count = Annotated[int, Field(ge=0, lt=2**63)]
Text = Annotated[str, AfterValidator(lambda text: text[:300])]

HOUSEKEEPING = frozenset(
    {
        "hello", "isMaster", "ismaster", "ping", "serverStatus", "buildInfo", "getLog", "saslStart", "saslContinue",
        "authenticate", "endSessions", "refreshSessions", "replSetHeartbeat", "replSetUpdatePosition", "replSetGetRBID",
    }
)  # fmt: skip
"""Commands of drivers and of the set itself, which no user waits for."""


def _at(*path: str) -> Any:
    return Field(ABSENT, validation_alias=AliasPath(*path))


class CommandCount(Facts):
    """How often a command ran, and how often it failed."""

    total: Count
    failed: Count


def _commands(value: Any) -> Any:
    """`metrics.commands` without its entries of another shape, such as the bare number of unknown commands."""
    if not isinstance(value, dict):
        return value
    return {name[:100]: entry for name, entry in list(value.items())[:1000] if isinstance(entry, (dict, CommandCount))}


def _buckets(value: Any) -> Any:
    """A histogram of serverStatus, `[{micros: 16, count: 446}, ...]`, as a mapping."""
    if not isinstance(value, list):
        return value
    pairs = [(entry.get("micros"), entry.get("count")) for entry in value[:200] if isinstance(entry, dict)]
    return {bound: count for bound, count in pairs if isinstance(bound, int)}


Buckets = Annotated[dict[Count, Count], BeforeValidator(_buckets)]
"""How many operations took at least that many microseconds, and less than the next bound."""


class Counters(Facts):
    """Counters of serverStatus: since the start of the server in a reading, their differences over a window.

    Times are microseconds. `collection_scans` leaves out those of tailable cursors; `asserts_user` counts the errors
    that clients got, `write_conflicts` the writes that had to be repeated.
    """

    uptime_ms: Fact[Count] = _at("uptimeMillis")
    reads: Fact[Count] = _at("opLatencies", "reads", "ops")
    reads_us: Fact[Count] = _at("opLatencies", "reads", "latency")
    writes: Fact[Count] = _at("opLatencies", "writes", "ops")
    writes_us: Fact[Count] = _at("opLatencies", "writes", "latency")
    reads_histogram: Fact[Buckets] = _at("opLatencies", "reads", "histogram")
    writes_histogram: Fact[Buckets] = _at("opLatencies", "writes", "histogram")
    commands: Fact[Count] = _at("opLatencies", "commands", "ops")
    commands_us: Fact[Count] = _at("opLatencies", "commands", "latency")
    queries: Fact[Count] = _at("opcounters", "query")
    by_command: Fact[Annotated[dict[str, CommandCount], BeforeValidator(_commands)]] = _at("metrics", "commands")
    keys_scanned: Fact[Count] = _at("metrics", "queryExecutor", "scanned")
    documents_scanned: Fact[Count] = _at("metrics", "queryExecutor", "scannedObjects")
    documents_returned: Fact[Count] = _at("metrics", "document", "returned")
    collection_scans: Fact[Count] = _at("metrics", "queryExecutor", "collectionScans", "nonTailable")
    memory_sorts: Fact[Count] = _at("metrics", "operation", "scanAndOrder")
    write_conflicts: Fact[Count] = _at("metrics", "operation", "writeConflicts")
    cursors_timed_out: Fact[Count] = _at("metrics", "cursor", "timedOut")
    connections_created: Fact[Count] = _at("connections", "totalCreated")
    asserts_regular: Fact[Count] = _at("asserts", "regular")
    asserts_msg: Fact[Count] = _at("asserts", "msg")
    asserts_tripwire: Fact[Count] = _at("asserts", "tripwire")
    asserts_user: Fact[Count] = _at("asserts", "user")
    application_evictions: Fact[Count] = _at("wiredTiger", "cache", "pages evicted by application threads")
    flow_control_lagged_us: Fact[Count] = _at("flowControl", "isLaggedTimeMicros")

    @property
    def housekeeping(self) -> int:
        """Commands that no user waits for."""
        return sum(entry.total for name, entry in self.by_command.items() if name in HOUSEKEEPING)

    def since(self, earlier: Counters) -> Counters:
        """The differences to an earlier reading of the same server; absent where a counter was reset in between."""
        changes = {name: self._change(name, earlier) for name in type(self).model_fields}
        if "by_command" in changes and not isinstance(changes["by_command"], Absent):
            before = earlier.by_command
            changes["by_command"] = {
                name: CommandCount(total=entry.total - was.total, failed=max(0, entry.failed - was.failed))
                for name, entry in self.by_command.items()
                if entry.total > (was := before.get(name, _NEVER)).total
            }
        return Counters(**changes)

    def _change(self, name: str, earlier: Counters) -> Any:
        # Around __getattribute__, which raises where a fact is absent.
        now, then = self.__dict__[name], earlier.__dict__[name]
        if isinstance(now, Absent) or isinstance(then, Absent):
            return now if isinstance(now, Absent) else then
        if name == "by_command":
            return now
        if isinstance(now, dict):
            grown = {bound: count - then.get(bound, 0) for bound, count in now.items()}
            return grown if min(grown.values(), default=0) >= 0 else absent(_RESTARTED)
        return now - then if now >= then else absent(_RESTARTED)


_NEVER = CommandCount(total=0, failed=0)
_RESTARTED = "the server was restarted in the window"


class DefaultWriteConcern(Facts):
    """The write concern of clients that name none. With `w` absent the server's own default, w: 1, applies."""

    source: Fact[Text] = Field(ABSENT, validation_alias="defaultWriteConcernSource")
    w: Fact[Count | Text] = Field(ABSENT, validation_alias=AliasPath("defaultWriteConcern", "w"))


class Tickets(Facts):
    """Admission to the storage engine: tickets in use, and all there are."""

    out: Count
    total: Count = Field(validation_alias="totalTickets")


def _tickets(kind: str) -> Any:
    paths = AliasPath("wiredTiger", "concurrentTransactions", kind), AliasPath("queues", "execution", kind)
    return Field(ABSENT, validation_alias=AliasChoices(*paths))


def _names(value: Any) -> Any:
    return tuple(value)[:50] if isinstance(value, dict) else value


class Gauges(Facts):
    """The present state of serverStatus. Cache sizes are bytes; `queued` has one entry a sample.

    `connections_active` are those with an operation under way, `connections_queued` those that wait to be accepted.
    """

    connections: Fact[Count] = _at("connections", "current")
    connections_left: Fact[Count] = _at("connections", "available")
    connections_active: Fact[Count] = _at("connections", "active")
    connections_queued: Fact[Count] = _at("connections", "queuedForEstablishment")
    queued: Fact[tuple[Count, ...]] = ABSENT
    read_tickets: Fact[Tickets] = _tickets("read")
    write_tickets: Fact[Tickets] = _tickets("write")
    cache_used: Fact[Count] = _at("wiredTiger", "cache", "bytes currently in the cache")
    cache_dirty: Fact[Count] = _at("wiredTiger", "cache", "tracked dirty bytes in the cache")
    cache_updates: Fact[Count] = _at("wiredTiger", "cache", "bytes allocated for updates")
    cache_max: Fact[Annotated[int, Field(gt=0)]] = _at("wiredTiger", "cache", "maximum bytes configured")
    cursors_open: Fact[Count] = _at("metrics", "cursor", "open", "total")
    flow_control_lagged: Fact[bool] = _at("flowControl", "isLagged")
    engine: Fact[Text] = _at("storageEngine", "name")
    engine_persistent: Fact[bool] = _at("storageEngine", "persistent")
    engine_read_only: Fact[bool] = _at("storageEngine", "readOnly")
    backup_cursor_open: Fact[bool] = _at("storageEngine", "backupCursorOpen")
    compressors: Fact[Annotated[tuple[Text, ...], BeforeValidator(_names)]] = _at("network", "compression")
    certificate_not_after: Fact[AwareDatetime] = _at("security", "SSLServerCertificateExpirationDate")
    default_write_concern: Fact[DefaultWriteConcern] = Field(ABSENT, validation_alias="defaultRWConcern")


class CommandLine(Facts):
    """The start options that were asked for by name; of files that hold secrets only whether they are set."""

    bind_ip: Fact[Text] = _at("net", "bindIp")
    bind_ip_all: Fact[bool] = Field(False, validation_alias=AliasPath("net", "bindIpAll"))
    tls_mode: Fact[Text] = Field(
        ABSENT, validation_alias=AliasChoices(AliasPath("net", "tls", "mode"), AliasPath("net", "ssl", "mode"))
    )
    authorization: Fact[Text] = _at("security", "authorization")
    key_file: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the server listens; localhost where nothing is said."""
        if self.bind_ip_all:
            return ("*",)
        bound = self.__dict__["bind_ip"]
        return tuple(part.strip() for part in bound.split(",")) if isinstance(bound, str) else ("localhost",)


class StartupWarning(Facts):
    """What mongod complained of at its start. `severity`: W a warning, I advice.

    `current` and `recommended` are the numbers that a complaint about a limit comes with.
    """

    id: Count
    severity: Text = Field("", validation_alias="s")
    message: Text = Field("", validation_alias="msg")
    current: Fact[Count] = _at("attr", "currentValue")
    recommended: Fact[Count] = _at("attr", "recommendedMinimum")


class ConnectionGroup(Facts):
    """Connections of one application from one host with one driver. `logged_in` leaves out monitoring connections.

    `least` is the smallest `pool` of the samples before and after the window in which the client was connected.
    """

    app: Text = ""
    host: Text = ""
    driver: Text = ""
    driver_version: Text = ""
    connections: Count
    active: Count = 0
    logged_in: Count = 0
    least: Fact[Count] = ABSENT

    @property
    def pool(self) -> int:
        """The connections of the pool, as far as a login tells them from those for monitoring."""
        return self.logged_in or self.connections

    @property
    def internal(self) -> bool:
        """Whether the deployment itself opened them."""
        return self.driver.startswith(("NetworkInterfaceTL", "MongoDB Internal")) or self.app == "OplogFetcher"


class Index(Facts):
    """One index of a collection. `key` is its fields in order, with direction or kind; `since` when counting began."""

    name: Text
    key: tuple[tuple[Text, Text], ...] = ()
    uses: Fact[Count] = ABSENT
    since: Fact[AwareDatetime] = ABSENT
    unique: bool = False
    ttl: bool = False
    partial: bool = False
    sparse: bool = False
    hidden: bool = False
    collation: bool = False


class Collection(Facts):
    """One of the busiest collections. `collection_scans` counts since the start of the server, `uptime_hours` ago.

    Sizes are bytes: `data_bytes` uncompressed and `document_bytes` its mean for one document, `storage_bytes` on disk
    and `free_bytes` the unused part of it, `index_bytes` of all indexes.
    """

    name: Text
    documents: Fact[Count] = ABSENT
    data_bytes: Fact[Count] = ABSENT
    document_bytes: Fact[Count] = ABSENT
    storage_bytes: Fact[Count] = ABSENT
    free_bytes: Fact[Count] = ABSENT
    index_bytes: Fact[Count] = ABSENT
    collection_scans: Fact[Count] = ABSENT
    uptime_hours: Fact[float] = ABSENT
    indexes: Fact[Annotated[tuple[Index, ...], Field(max_length=100)]] = ABSENT
