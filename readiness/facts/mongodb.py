"""What a MongoDB deployment says of itself, one entry a member: counters over the window, gauges, configuration.

Everything here comes from the servers' own answers, of which only named fields are kept. No document, no query and no
secret is among them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, AliasPath, AwareDatetime, BeforeValidator, Field

from readiness.errors import FactMissing
from readiness.facts.base import ABSENT, Fact, Facts
from readiness.facts.mongodb_estate import Backups, HostLoad, Profiling, Router, Shard
from readiness.facts.mongodb_server import Collection, CommandLine, ConnectionGroup, Counters, Gauges, StartupWarning

Count = Annotated[int, Field(ge=0, lt=2**63)]
Amount = Annotated[float, Field(ge=0)]
Text = Annotated[str, AfterValidator(lambda text: text[:300])]
Texts = Annotated[tuple[Text, ...], Field(max_length=100)]

Topology = Literal["standalone", "replica_set", "mongos"]
Platform = Literal["self_managed", "atlas", "documentdb"]


class Hello(Facts):
    """The greeting of one member. `msg` is `isdbgrid` on a mongos."""

    set_name: Fact[Text] = Field(ABSENT, validation_alias="setName")
    me: Fact[Text] = ABSENT
    hosts: Fact[Texts] = ABSENT
    passives: Fact[Texts] = ABSENT
    arbiters: Fact[Texts] = ABSENT
    primary: Fact[Text] = ABSENT
    writable: Fact[bool] = Field(ABSENT, validation_alias=AliasChoices("isWritablePrimary", "ismaster"))
    secondary: Fact[bool] = ABSENT
    arbiter: Fact[bool] = Field(False, validation_alias="arbiterOnly")
    hidden: Fact[bool] = False
    msg: Fact[Text] = ABSENT
    wire_version: Fact[Count] = Field(ABSENT, validation_alias="maxWireVersion")


class LastWrite(Facts):
    """The last operation that a member had applied: `date` by its own clock, seen `at` seconds into the audit."""

    at: float
    date: AwareDatetime


class ReplicaMember(Facts):
    """One member in the eyes of another. `state`: 1 primary, 2 secondary, 7 arbiter, 8 down; `optime` is then void."""

    name: Text
    state: Count
    health: Fact[float] = ABSENT
    optime: Fact[AwareDatetime] = Field(ABSENT, validation_alias=AliasChoices("optimeDate", "optime_date"))
    uptime: Fact[Count] = ABSENT
    election: Fact[AwareDatetime] = Field(ABSENT, validation_alias="electionDate")


class ReplicaStatus(Facts):
    """`replSetGetStatus` of one member. The states of the others are up to ten seconds old."""

    term: Fact[int] = ABSENT
    majority_votes: Fact[Count] = Field(ABSENT, validation_alias="majorityVoteCount")
    voting_members: Fact[Count] = Field(ABSENT, validation_alias="votingMembersCount")
    members: Fact[Annotated[tuple[ReplicaMember, ...], Field(max_length=100)]] = ABSENT

    @property
    def primary(self) -> ReplicaMember:
        """The primary among the members. Raises FactMissing where there is none, as in the midst of an election."""
        for member in self.members:
            if member.state == _PRIMARY:
                return member
        raise FactMissing("ReplicaStatus.primary", "no member is primary: the set was electing one")


_PRIMARY = 1


class MemberConfig(Facts):
    """One member in the configuration of its set."""

    host: Text
    arbiter: bool = Field(False, validation_alias="arbiterOnly")
    hidden: bool = False
    priority: Amount = 1
    votes: Count = 1
    delay_seconds: Count = Field(0, validation_alias=AliasChoices("secondaryDelaySecs", "slaveDelay"))

    @property
    def electable(self) -> bool:
        """Whether it can become primary."""
        return self.priority > 0 and not self.arbiter and self.delay_seconds == 0


class ReplicaConfig(Facts):
    """`replSetGetConfig`: the set as it was configured."""

    members: Fact[Annotated[tuple[MemberConfig, ...], Field(max_length=100)]] = ABSENT
    journal_majority: Fact[bool] = Field(True, validation_alias="writeConcernMajorityJournalDefault")


class Oplog(Facts):
    """The oplog's span and size. Sizes are bytes; `min_retention_hours` is 0 where only the size bounds it."""

    first: AwareDatetime
    last: AwareDatetime
    size: Count
    max_size: Count
    min_retention_hours: Fact[Amount] = ABSENT


class LongOperations(Facts):
    """Client operations of one kind that have been running for ten seconds or more."""

    op: Text
    count: Count
    max_seconds: Count


class Host(Facts):
    """The machine, or the container's share of it."""

    cores: Fact[Count] = Field(ABSENT, validation_alias=AliasPath("system", "numCores"))
    memory_mb: Fact[Count] = Field(
        ABSENT, validation_alias=AliasChoices(AliasPath("system", "memLimitMB"), AliasPath("system", "memSizeMB"))
    )


class Disk(Facts):
    """The file system of the data files, in bytes. Blocks reserved for others count as used."""

    used: Count = Field(validation_alias="fsUsedSize")
    total: Annotated[int, Field(gt=0)] = Field(validation_alias="fsTotalSize")


class Privilege(Facts):
    """What the auditor's account may do on one resource: `*` any, `shop.*` a database, `cluster`."""

    resource: Text
    actions: Annotated[tuple[Text, ...], Field(max_length=300)]


class Account(Facts):
    """The auditor's own account; no users means that nobody is logged in."""

    users: Fact[Texts] = ABSENT
    roles: Fact[Texts] = ABSENT
    privileges: Fact[Annotated[tuple[Privilege, ...], Field(max_length=1000)]] = ABSENT


class MongoTls(Facts):
    """TLS on one member, from our own handshake and from the server's configuration.

    `offered` is false where the server speaks no TLS. `problem` says why the certificate was not accepted under the
    trust that the URI names; without one it was verified.
    """

    used: bool
    offered: Fact[bool] = ABSENT
    protocol: Fact[Text] = ABSENT
    cipher: Fact[Text] = ABSENT
    not_after: Fact[AwareDatetime] = ABSENT
    problem: Text = ""


def _dotted(value: Any) -> Any:
    """`versionArray` as text: only its first three numbers are the version."""
    return ".".join(str(part) for part in value[:3]) if isinstance(value, (list, tuple)) else value


Version = Annotated[str, BeforeValidator(_dotted), Field(pattern=r"^\d{1,4}\.\d{1,4}\.\d{1,4}$")]


class MongoMember(Facts):
    """One member, read over a direct connection of its own.

    `answers` is false where it could not be read, and `reason` says why. `activity` holds the differences of the
    counters over the quiet window of `window_seconds`, without the auditor's own commands. `collections` are the
    busiest ones, `profiling` is of their databases. `anonymous` is whether somebody without credentials may list the
    databases. Only a mongos knows `routers`, `shards` and `shard_names`, which has those without data too.
    """

    address: Text
    answers: bool = False
    reason: Text = ""
    data_bearing: bool = False
    loopback: bool = False
    hello: Fact[Hello] = ABSENT
    version: Fact[Version] = ABSENT
    ping_ms: Fact[tuple[Amount, ...]] = ABSENT
    clock_ahead_seconds: Fact[float] = ABSENT
    window_seconds: Fact[Amount] = ABSENT
    activity: Fact[Counters] = ABSENT
    gauges: Fact[Gauges] = ABSENT
    last_writes: tuple[LastWrite, ...] = ()
    replica_status: Fact[ReplicaStatus] = ABSENT
    replica_config: Fact[ReplicaConfig] = ABSENT
    oplog: Fact[Oplog] = ABSENT
    command_line: Fact[CommandLine] = ABSENT
    feature_version: Fact[Annotated[str, Field(pattern=r"^\d{1,4}\.\d{1,4}$")]] = ABSENT
    startup_warnings: Fact[Annotated[tuple[StartupWarning, ...], Field(max_length=100)]] = ABSENT
    connections: Fact[Annotated[tuple[ConnectionGroup, ...], Field(max_length=500)]] = ABSENT
    long_operations: Fact[Annotated[tuple[LongOperations, ...], Field(max_length=100)]] = ABSENT
    collections: Fact[Annotated[tuple[Collection, ...], Field(max_length=100)]] = ABSENT
    collections_total: Fact[Count] = ABSENT
    data_bytes: Fact[Count] = ABSENT
    profiling: Fact[Annotated[tuple[Profiling, ...], Field(max_length=100)]] = ABSENT
    backups: Fact[Backups] = ABSENT
    routers: Fact[Annotated[tuple[Router, ...], Field(max_length=100)]] = ABSENT
    shards: Fact[Annotated[tuple[Shard, ...], Field(max_length=1000)]] = ABSENT
    shard_names: Fact[Annotated[tuple[Text, ...], Field(max_length=1000)]] = ABSENT
    host: Fact[Host] = ABSENT
    host_load: Fact[HostLoad] = ABSENT
    disk: Fact[Disk] = ABSENT
    account: Fact[Account] = ABSENT
    anonymous: Fact[bool] = ABSENT
    tls: Fact[MongoTls] = ABSENT

    @property
    def readable(self) -> bool:
        """Whether it holds data and answered."""
        return self.answers and self.data_bearing


class NotFollowed(Facts):
    """A member that the set announces and that was not contacted, with the reason."""

    address: Text
    reason: Text


class MongoFacts(Facts):
    """A MongoDB deployment.

    `now` is the time of the audit by the auditor's clock. `operation_ms` is the average server-side time of an
    operation in the window, over all members, without the auditor's own. `primary` is the address of the member that
    says so of itself.
    """

    now: AwareDatetime
    topology: Topology
    platform: Platform = "self_managed"
    members: Fact[tuple[MongoMember, ...]] = ()
    not_followed: tuple[NotFollowed, ...] = ()
    primary: Fact[Text] = ABSENT
    operation_ms: Fact[Amount] = ABSENT

    @property
    def readable(self) -> tuple[MongoMember, ...]:
        """The members that hold data and answered."""
        return tuple(member for member in self.members if member.readable)
