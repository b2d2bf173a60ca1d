"""What the Redis probe learned: one server (Redis, Valkey or compatible), its window, its replicas.

Units: bytes, seconds, milliseconds where a name ends in `_ms`, microseconds where it ends in `_us`, times as seconds
since 1970. Figures come from INFO unless a docstring says otherwise. Client addresses are reduced to hosts, slow
commands to their names; key names and values are never kept.
"""

from __future__ import annotations

from typing import Literal

from readiness.errors import FactMissing
from readiness.facts.base import ABSENT, Fact, Facts

Role = Literal["cache", "session", "queue", "store"]
Network = Literal["loopback", "private", "public", "unix"]

IDLE = 100
"""Below this many look-ups in a window a hit rate says nothing."""


class Server(Facts):
    """`name` is redis, valkey, keydb or dragonfly, and `version` that program's own, not the one it imitates."""

    name: str
    version: Fact[str] = ABSENT
    mode: Literal["standalone", "sentinel", "cluster"] = "standalone"
    os: Fact[str] = ABSENT
    executable: Fact[str] = ABSENT
    allocator: Fact[str] = ABSENT
    uptime_seconds: Fact[int] = ABSENT


class Memory(Facts):
    """`limit` is maxmemory (0 is none); `not_evictable` are the buffers that do not count towards it."""

    used: Fact[int] = ABSENT
    limit: Fact[int] = ABSENT
    policy: Fact[str] = ABSENT
    not_evictable: Fact[int] = ABSENT
    resident: Fact[int] = ABSENT
    fragmentation_ratio: Fact[float] = ABSENT
    fragmentation_bytes: Fact[int] = ABSENT
    host_total: Fact[int] = ABSENT
    over_limit_ms: Fact[int] = ABSENT


class Connections(Facts):
    """`open` counts this audit, sentinels and exporters, but no replicas."""

    open: Fact[int] = ABSENT
    limit: Fact[int] = ABSENT
    blocked: Fact[int] = ABSENT
    largest_output_buffer: Fact[int] = ABSENT


class Persistence(Facts):
    """States are `ok` or `err`; they are `ok` too where nothing was ever saved."""

    aof_enabled: Fact[bool] = ABSENT
    rdb_last_save: Fact[int] = ABSENT
    rdb_changes: Fact[int] = ABSENT
    rdb_state: Fact[str] = ABSENT
    aof_write_state: Fact[str] = ABSENT
    aof_rewrite_state: Fact[str] = ABSENT
    busy: Fact[tuple[str, ...]] = ABSENT
    """Which of loading, async_loading, rdb_bgsave and aof_rewrite are going on."""


class Replica(Facts):
    """A replica as its primary lists it; `lag` is whole seconds since its last acknowledgement."""

    address: str
    state: Fact[str] = ABSENT
    lag: Fact[int] = ABSENT
    offset: Fact[int] = ABSENT

    @property
    def online(self) -> bool:
        return self.state == "online"


class Replication(Facts):
    """`role` is master or slave; the fields after `replicas` exist on a replica only."""

    role: Literal["master", "slave"] = "master"
    offset: Fact[int] = ABSENT
    replicas: Fact[tuple[Replica, ...]] = ABSENT
    link: Fact[str] = ABSENT
    link_idle_seconds: Fact[int] = ABSENT
    syncing: Fact[bool] = ABSENT


class Database(Facts):
    """One logical database. `average_ttl_ms` is the server's estimate, and 0 on a replica."""

    index: int
    keys: Fact[int] = ABSENT
    expires: Fact[int] = ABSENT
    average_ttl_ms: Fact[int] = ABSENT


class Totals(Facts):
    """Counters since the server started, or since CONFIG RESETSTAT. `calls` is by command, `errors` by code."""

    hits: Fact[int] = ABSENT
    misses: Fact[int] = ABSENT
    evicted: Fact[int] = ABSENT
    rejected_connections: Fact[int] = ABSENT
    latest_fork_us: Fact[int] = ABSENT
    errors: Fact[dict[str, int]] = ABSENT
    calls: Fact[dict[str, int]] = ABSENT


class CommandTime(Facts):
    """One command in the window."""

    name: str
    calls: int
    microseconds: int


class Deltas(Facts):
    """What happened during the window of `seconds`, without the audit's own commands.

    In a cluster, sums over its primaries. `hits` and `misses` also count those replicas of this server that could be
    read.
    """

    seconds: float
    commands: Fact[int] = ABSENT
    hits: Fact[int] = ABSENT
    misses: Fact[int] = ABSENT
    evicted: Fact[int] = ABSENT
    expired: Fact[int] = ABSENT
    connections: Fact[int] = ABSENT
    rejected_connections: Fact[int] = ABSENT
    error_replies: Fact[int] = ABSENT
    errors: Fact[dict[str, int]] = ABSENT
    full_syncs: Fact[int] = ABSENT
    failed_partial_syncs: Fact[int] = ABSENT
    acl_denied: Fact[int] = ABSENT
    output_limit_disconnections: Fact[int] = ABSENT
    commands_by_name: Fact[tuple[CommandTime, ...]] = ABSENT


class Config(Facts):
    """CONFIG GET of named parameters; those that hold secrets are never asked for."""

    save: Fact[str] = ABSENT
    appendfsync: Fact[str] = ABSENT
    bind: Fact[str] = ABSENT
    protected_mode: Fact[bool] = ABSENT
    tcp_keepalive: Fact[int] = ABSENT
    timeout: Fact[int] = ABSENT
    slowlog_threshold_us: Fact[int] = ABSENT
    latency_threshold_ms: Fact[int] = ABSENT
    min_replicas: Fact[int] = ABSENT
    min_replicas_max_lag: Fact[int] = ABSENT


class ClientGroup(Facts):
    """Connections with the same host, name, library and kind, without this audit's own (from CLIENT LIST)."""

    host: str
    name: str = ""
    library: str = ""
    kind: Literal["client", "replica", "primary", "sentinel", "exporter"]
    count: int


class Clients(Facts):
    """CLIENT LIST, grouped on arrival. `sentinels` counts those that watch this server."""

    groups: tuple[ClientGroup, ...] = ()
    sentinels: int = 0
    largest_output_memory: int = 0
    """Of all clients but replicas."""


class SlowCommand(Facts):
    """An entry of the slow log; of its arguments only the command's name."""

    id: int
    time: int
    microseconds: int
    command: str


class LatencyEvent(Facts):
    """LATENCY LATEST: an event, when it last happened, and its highest value ever."""

    name: str
    time: int
    latest_ms: int
    max_ms: int


class Ping(Facts):
    """Round trips of PING on an established connection; the first one is not counted."""

    median_ms: float
    max_ms: float
    count: int


class Node(Facts):
    """A replica's own view of itself, read on a connection of its own."""

    address: str
    version: Fact[str] = ABSENT
    memory: Fact[Memory] = ABSENT
    aof_enabled: Fact[bool] = ABSENT


class Shard(Facts):
    """One shard of a cluster (CLUSTER SHARDS), and what its primary holds and did in the window where it was read."""

    name: str
    replicas: int
    replicas_online: int
    primary_online: bool
    address: str = ""
    keys: Fact[int] = ABSENT
    used: Fact[int] = ABSENT
    commands: Fact[int] = ABSENT


class Cluster(Facts):
    """CLUSTER INFO, and CLUSTER SHARDS where the server has it."""

    state: Fact[str] = ABSENT
    slots_assigned: Fact[int] = ABSENT
    slots_ok: Fact[int] = ABSENT
    slots_pfail: Fact[int] = ABSENT
    slots_fail: Fact[int] = ABSENT
    shards: Fact[tuple[Shard, ...]] = ABSENT


class Master(Facts):
    """A primary as the Sentinel `seen_by` sees it. `quorum_ok` is the answer to SENTINEL CKQUORUM."""

    name: str
    address: Fact[str] = ABSENT
    seen_by: str = ""
    flags: Fact[str] = ABSENT
    replicas: Fact[int] = ABSENT
    sentinels: Fact[int] = ABSENT
    quorum: Fact[int] = ABSENT
    quorum_ok: Fact[bool] = ABSENT


class Handshake(Facts):
    """TLS as negotiated, with the certificate verified. `ca_file` says that a file given in the URL is trusted."""

    version: str
    cipher: str = ""
    expires: Fact[int] = ABSENT
    self_signed: Fact[bool] = ABSENT
    ca_file: bool = False


class KeySample(Facts):
    """Keys of one pattern of `redis.warm_keys` among those sampled; times to live in seconds.

    `without_ttl` and the TTLs are of `examined` keys, `largest` is the bytes of the largest of them.
    """

    pattern: str
    wanted: int
    matched: int
    estimate: int
    examined: Fact[int] = ABSENT
    without_ttl: Fact[int] = ABSENT
    ttl_min: Fact[int] = ABSENT
    ttl_median: Fact[int] = ABSENT
    ttl_max: Fact[int] = ABSENT
    largest: Fact[int] = ABSENT


class Sample(Facts):
    """A bounded SCAN of the URL's database. `complete` says that it reached the end."""

    keys: int
    scanned: int
    complete: bool
    on_replica: bool = False
    patterns: tuple[KeySample, ...] = ()


class RedisFacts(Facts):
    """One Redis or Valkey server at the configured URL; `role` and `warm_keys` are what the configuration declares.

    `network` is the kind of address that the URL leads to, `provider` a managed service recognised by its host name,
    `now` the server's clock. `anonymous` is what a connection without credentials was told: `open` (it may run INFO),
    `limited` (it may PING), `refused` (NOAUTH) or `protected` (protected mode).
    """

    role: Role = "cache"
    warm_keys: dict[str, int] = {}
    host: str = ""
    port: int = 0
    network: Network = "loopback"
    tls: bool = False
    authenticates: bool = False
    provider: str = ""
    now: float = 0.0
    database: int = 0

    not_ready: Fact[str] = ""
    """Why the server cannot serve (the code in answer to PING: LOADING, MISCONF, MASTERDOWN, ...), or nothing."""

    hit_rate: Fact[float] = ABSENT
    lookups: Fact[int] = ABSENT
    error_rate: Fact[float] = ABSENT
    """Error replies a command during the window, without the redirections of a cluster."""

    average_us: Fact[float] = ABSENT
    """Server time a command during the window, without this audit's own."""

    server: Fact[Server] = ABSENT
    memory: Fact[Memory] = ABSENT
    connections: Fact[Connections] = ABSENT
    persistence: Fact[Persistence] = ABSENT
    replication: Fact[Replication] = ABSENT
    keyspace: Fact[tuple[Database, ...]] = ABSENT
    totals: Fact[Totals] = ABSENT
    window: Fact[Deltas] = ABSENT
    p99_us: Fact[dict[str, float]] = ABSENT
    """99th percentile by command since the server started."""
    cluster_enabled: Fact[bool] = ABSENT
    cluster: Fact[Cluster] = ABSENT
    config: Fact[Config] = ABSENT
    clients: Fact[Clients] = ABSENT
    slow_log: Fact[tuple[SlowCommand, ...]] = ABSENT
    latency_events: Fact[tuple[LatencyEvent, ...]] = ABSENT
    ping: Fact[Ping] = ABSENT
    nodes: Fact[tuple[Node, ...]] = ABSENT
    masters: Fact[tuple[Master, ...]] = ABSENT
    anonymous: Fact[Literal["open", "limited", "refused", "protected"]] = ABSENT
    handshake: Fact[Handshake] = ABSENT
    sample: Fact[Sample] = ABSENT

    commands_sent: int = 0
    refused: tuple[str, ...] = ()
    """Commands that the account may not run, or that this service does not have."""

    @property
    def keys(self) -> int:
        """Keys in all databases."""
        return sum(database.keys for database in self.keyspace)

    @property
    def expiring_share(self) -> float | None:
        """The share of keys with a time to live, or None without keys."""
        return sum(database.expires for database in self.keyspace) / self.keys if self.keys else None

    def hit_rate_without(self, lookups: float, hits: float) -> float:
        """The hit rate of the window less so many lookups and hits of this audit's own requests.

        Raises FactMissing where too few others remain.
        """
        others = self.lookups - lookups
        if others < IDLE:
            reason = f"fewer than {IDLE} lookups in the window besides those that this audit's own requests caused"
            raise FactMissing("RedisFacts.hit_rate", reason)
        return min(1.0, max(0.0, (self.hit_rate * self.lookups - hits) / others))
