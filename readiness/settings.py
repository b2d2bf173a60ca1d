"""The sections of the configuration, as types. Probes and checks ask for the section they need by its type."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from readiness.model import Severity
from readiness.urls import demand_port, http_url

ComponentId = Literal["database", "caching", "security", "monitoring", "error_handling", "performance", "scalability"]
Profile = Literal["web", "api", "internal"]
Stack = Literal["nginx", "kubernetes", "express", "node", "fastapi", "django", "python"]
Score = Annotated[float, Field(ge=0, le=10)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


def _path(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("a path on the service, beginning with /")
    return value


def _path_or_url(value: str) -> str:
    value = value.strip()
    if not value.lower().startswith(("/", "http://", "https://")):
        raise ValueError("a path beginning with /, or an http(s) URL")
    return value if value.startswith("/") else _http_url(value)


def _http_url(value: str) -> str:
    import httpx  # here, because most sections are used without it

    value = http_url(value)
    try:
        httpx.URL(value)
    except (httpx.InvalidURL, ValueError):
        raise ValueError("the host is no name and no address") from None
    return value


def _server(*schemes: str, many: bool = False) -> AfterValidator:
    def check(value: SecretStr) -> SecretStr:
        # Never quote the value: it holds a password.
        scheme, separator, rest = value.get_secret_value().partition("://")
        if not separator or scheme not in schemes:
            raise ValueError(f"expected {' or '.join(s + '://...' for s in schemes)}")
        if scheme == "unix":
            return value
        address = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
        hosts = address.split(",") if many else [address]
        # Half of a password that is not encoded may look like a port, and the other half like a path.
        if not all(_HOST.fullmatch(host) for host in hosts) or "@" in rest.partition("?")[0].partition("/")[2]:
            raise ValueError(
                "expected HOST[:PORT] after the credentials; percent-encode @ : / ? # in user and password"
            )
        for host in hosts:
            demand_port(_port(host))
        return value

    return AfterValidator(check)


_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:@\[\]]+)(:[0-9]{1,5})?")


def _port(host: str) -> str:
    match = _HOST.fullmatch(host)
    return (match[2] or "").removeprefix(":") if match else ""


def _https_url(value: str) -> str:
    if not value.strip().lower().startswith("https://"):
        raise ValueError("expected https://HOST/...")
    return _http_url(value)


def _host_port(value: str) -> str:
    if not _port(value):
        raise ValueError("expected HOST:PORT")
    demand_port(_port(value))
    return value


def _scheduler(value: str) -> str:
    if not re.fullmatch(r"(tcp|tls|ws|wss)://[^\s/@]+:[0-9]{1,5}", value):
        raise ValueError("expected the address of a Dask scheduler, such as tcp://HOST:8786")
    demand_port(value.rpartition(":")[2])
    return value


def _namespace(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", value):
        raise ValueError("expected the name of a namespace: lower-case letters, digits and hyphens")
    return value


def _label_selector(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_./!=,() -]{1,500}", value):
        raise ValueError("expected a label selector such as app=shop,tier!=batch")
    return value


def _day(value: Any) -> Any:
    # pydantic would read a number as seconds since 1970, and a time of day invites the question whose midnight it is.
    if isinstance(value, dt.datetime) or not isinstance(value, (dt.date, str)) or not _DAY.fullmatch(str(value)):
        raise ValueError("expected a day such as 2027-01-31; it counts to its end, in UTC")
    return value


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Day = Annotated[dt.date, BeforeValidator(_day)]
HostPort = Annotated[str, AfterValidator(_host_port)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
HttpsUrl = Annotated[str, AfterValidator(_https_url)]
LabelSelector = Annotated[str, AfterValidator(_label_selector)]
Namespace = Annotated[str, AfterValidator(_namespace)]
SchedulerAddress = Annotated[str, AfterValidator(_scheduler)]
ServicePath = Annotated[str, AfterValidator(_path)]
PathOrUrl = Annotated[str, AfterValidator(_path_or_url)]
MongoURI = Annotated[SecretStr, _server("mongodb", "mongodb+srv", many=True)]
RedisURL = Annotated[SecretStr, _server("redis", "rediss", "valkey", "valkeys", "unix")]


class Section(BaseModel):
    """A part of the configuration: frozen, and it refuses keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class HttpSettings(Section):
    url: HttpUrl | None = None
    profile: Profile | None = Field(default=None, description="guessed from the answer when absent")
    headers: dict[str, SecretStr] = Field(default={}, description="sent to this origin only")
    ca_file: Path | None = None
    health: PathOrUrl | None = Field(default=None, description="discovered when absent")
    metrics: PathOrUrl | None = Field(default=None, description="discovered when absent")
    endpoints: tuple[ServicePath, ...] = Field(default=(), description="exercised by latency checks with GET")
    protected: tuple[ServicePath, ...] = Field(default=(), description="must refuse an anonymous caller")
    writable: tuple[ServicePath, ...] = Field(default=(), description="may be sent bodies that cannot validate")
    slow_client_seconds: Annotated[float, Field(gt=0, le=120)] | None = Field(
        default=None, description="how long one connection may send its headers byte by byte; 20 is enough"
    )
    stack: tuple[Stack, ...] = Field(
        default=(), description="what the service is made of, which fixes are written for; recognised when absent"
    )


class MongoDBSettings(Section):
    uri: MongoURI | None = Field(default=None, description="the auditor's own account; clusterMonitor is enough")
    app_uri: MongoURI | None = Field(default=None, description="the application's: parsed, never connected to")
    options: dict[str, bool | int | float | str] = Field(
        default={}, description="the application's client options, where they are not in its URI"
    )


class RedisSettings(Section):
    url: RedisURL | None = Field(default=None, description="the auditor's own account; +ping +info is enough for most")
    app_url: RedisURL | None = Field(default=None, description="the application's: parsed, never connected to")
    sentinels: tuple[HostPort, ...] = Field(default=(), description="HOST:PORT; otherwise looked for on the data node")
    without_url: HttpUrl | None = Field(
        default=None, description="an instance of the service whose cache you have switched off, to see it do without"
    )
    role: Literal["cache", "session", "queue", "store"] = "cache"
    warm_keys: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default={}, description="key pattern -> how many keys a warm cache holds at least"
    )


class PrometheusSettings(Section):
    url: HttpUrl | None = None
    alertmanager: HttpUrl | None = None


class KubernetesSettings(Section):
    """One namespace of a cluster. In a pod without a kubeconfig, its service account is used."""

    kubeconfig: Path | None = Field(default=None, description="$KUBECONFIG or ~/.kube/config when absent")
    context: str | None = Field(default=None, min_length=1, description="the kubeconfig's current one when absent")
    namespace: Namespace | None = Field(default=None, description="that of the context when absent")
    selector: LabelSelector | None = Field(default=None, description="labels of the workloads; all of them when absent")


class Expectations(Section):
    response_time_ms: Positive = 100
    database_query_ms: Positive = 50
    cache_hit_rate: Annotated[float, Field(gt=0, le=1)] = 0.95
    concurrent_users: Annotated[int, Field(gt=0)] = 10_000


class LoadSettings(Section):
    """What may be sent beyond a light load of at most 200 requests at 25 a second, once `allow` is set.

    The figures are ceilings for everything together, not for one step: no rate above `rate`, no more connections open
    at the same time than `connections`, no request after `duration`. Less is sent where less is enough.
    """

    allow: bool = Field(default=False, description="permits load; --load does the same")
    rate: Positive = Field(default=50, description="requests a second that become due at most")
    duration: Positive = Field(default=10, description="seconds that all of it takes at most")
    connections: Annotated[int, Field(gt=0, le=65_000)] = Field(default=50, description="open at the same time at most")
    dask: SchedulerAddress | None = Field(
        default=None, description="a Dask scheduler whose workers share all of it, instead of this machine; --dask"
    )
    region: str | None = Field(default=None, min_length=1, description="only workers that have this resource")


FollowAnnounced = Literal["same-network", "listed", "never"]


class Limits(Section):
    """Every ceiling of an audit: seconds, bytes, counts. The probes take theirs from here.

    No answer is ever inflated, so there is no ceiling for decompressed bytes: what comes compressed is counted as sent.
    """

    connect_seconds: Positive = Field(default=3, description="for one connection")
    handshake_seconds: Positive = Field(default=5, description="for one TLS handshake")
    read_seconds: Positive = Field(default=10, description="between two parts of one answer")
    request_seconds: Positive = Field(default=10, description="for one answer, from the connection to its last byte")
    probe_seconds: Positive = Field(default=30, description="for one probe, besides the window")
    audit_seconds: Positive = Field(default=120, description="for everything")
    window_seconds: Positive = Field(default=3, description="between two readings of the same counters")
    requests: Count = Field(
        default=400, description="HTTP requests and TLS handshakes of one audit, besides those that load.allow permits"
    )
    response_mb: Positive = Field(default=5, description="for one HTTP answer")
    header_kb: Annotated[float, Field(gt=0, le=96)] = Field(
        default=64, description="for the headers of one HTTP answer"
    )
    headers: Count = Field(default=200, description="headers of one HTTP answer")
    redirects: Annotated[int, Field(ge=0, le=10)] = Field(default=3, description="followed one after the other")
    json_depth: Annotated[int, Field(gt=0, le=200)] = Field(default=50, description="for one document")
    series: Count = Field(default=50_000, description="of one metrics endpoint")
    reply_mb: Positive = Field(default=4, description="for one reply of a database or cache")
    members: Annotated[int, Field(gt=0, le=50)] = Field(default=50, description="of a replica set that are read")
    shards: Annotated[int, Field(gt=0, le=1000)] = Field(
        default=16, description="of a Redis cluster that are contacted"
    )
    sentinels: Annotated[int, Field(gt=0, le=100)] = Field(default=5, description="that are asked")
    follow_announced: FollowAnnounced = Field(
        default="same-network",
        description="which addresses that a server names are contacted: same-network: on the same kind of network "
        "(loopback, private, public) as the configured ones; listed: those under `listed`; never: none",
    )
    listed: list[str] = Field(default=[], description="HOST:PORT of servers that may be contacted when announced")


def _tolerance(value: Any) -> Any:
    return {True: 0, False: None}[value] if isinstance(value, bool) else value


Tolerance = Annotated[Score | None, BeforeValidator(_tolerance)]


class ComponentSettings(Section):
    absent: str | None = Field(default=None, min_length=3, description="why the deployment has no such component")
    weight: Positive = 1


class Absences(Section):
    """Why the deployment has no database or cache, in the words of `components`; empty where nobody says so.

    No part of a configuration file: `Settings.section` makes it, for checks that would ask for what is not there.
    """

    database: str = ""
    caching: str = ""


class GateSettings(Section):
    fail_under: Score | None = None
    components: dict[ComponentId, Score] = {}
    fail_on: Severity | None = None
    min_coverage: Annotated[float, Field(ge=0, le=100)] = 80
    no_regression: Tolerance = Field(
        default=None, description="points that a score may fall below that of --baseline; true is 0"
    )

    @property
    def asked_for(self) -> bool:
        """Whether any condition was set; `min_coverage` alone is not one unless it was given."""
        return bool(
            self.fail_under is not None
            or self.components
            or self.fail_on is not None
            or "min_coverage" in self.model_fields_set
        )


class Attestation(Section):
    """What somebody vouches for because it cannot be seen from outside; valid to the end of its last day, in UTC."""

    statement: str = Field(min_length=10, description="one sentence: what is in place, and where")
    evidence: HttpsUrl = Field(description="where a reader of the report can see it")
    owner: str = Field(min_length=1)
    expires: Day


class AttestationSettings(Section):
    error_tracking: Attestation | None = Field(default=None, description="an error tracker gets the service's errors")
    log_shipping: Attestation | None = Field(default=None, description="logs are collected and can be searched")
    on_call: Attestation | None = Field(default=None, description="somebody answers an alert at any hour")
    uptime: Attestation | None = Field(default=None, description="something outside watches the service")
    backups: Attestation | None = Field(default=None, description="backups are taken every day and have been restored")
    measured_only: bool = Field(default=False, description="ignore what is only declared; --measured-only")


class WaiverSettings(Section):
    check: str
    reason: str = Field(min_length=3)
    owner: str = Field(min_length=1)
    expires: Day


class HistorySettings(Section):
    file: Path | None = Field(default=None, description="record every audit in this SQLite file; --history")
    keep: Count = Field(default=1000, description="audits of one service and environment; the oldest go")


_STORES = {"mongodb": "database", "redis": "caching"}


class Settings(Section):
    """A whole configuration. Packs may add sections of their own; `config.load` builds that larger model."""

    service: str = "service"
    environment: str = "production"
    target_score: Score = 9
    http: HttpSettings = HttpSettings()
    mongodb: MongoDBSettings = MongoDBSettings()
    redis: RedisSettings = RedisSettings()
    prometheus: PrometheusSettings = PrometheusSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    expectations: Expectations = Expectations()
    load: LoadSettings = LoadSettings()
    limits: Limits = Limits()
    components: dict[ComponentId, ComponentSettings] = {}
    gate: GateSettings = GateSettings()
    attestations: AttestationSettings = AttestationSettings()
    waivers: tuple[WaiverSettings, ...] = ()
    history: HistorySettings = HistorySettings()
    checks: dict[str, dict[str, Any]] = {}
    packs: tuple[Path, ...] = ()

    def section(self, wanted: type[Section]) -> Section:
        """The section of that type. Raises LookupError where this configuration has none."""
        if wanted is Absences:
            return self.absences
        for name in type(self).model_fields:
            value = getattr(self, name)
            if type(value) is wanted:
                return value
        raise LookupError(f"no section {wanted.__name__}")

    @property
    def absences(self) -> Absences:
        """The stores that are declared absent."""
        return Absences(
            **{name: entry.absent or "" for name, entry in self.components.items() if name in Absences.model_fields}
        )

    def declined(self, key: str) -> str:
        """Why nobody misses a value of such a key: each way to give one leads to a store that is declared absent."""

        def declared(part: str) -> str:
            return getattr(self.absences, _STORES.get(part.partition(".")[0], ""), "")

        reasons = [next(filter(None, map(declared, way.split(" and "))), "") for way in key.split(" or ")]
        return reasons[0] if all(reasons) else ""

    def given(self, key: str) -> bool:
        """Whether the dotted key, such as `redis.url`, has a value; `a.b or a.c` asks for either, `and` for both.

        What is switched off has none.
        """
        return any(all(map(self._has, each.split(" and "))) for each in key.split(" or "))

    def lacks(self, key: str) -> str:
        """What of such a key has no value: of `a.b and c.d` only those without one; else an empty string."""
        if self.given(key):
            return ""
        return " or ".join(
            " and ".join(part for part in each.split(" and ") if not self._has(part)) for each in key.split(" or ")
        )

    def _has(self, key: str) -> bool:
        value = self._value(key)
        return value is not False and value not in (None, (), {}, "")

    def _value(self, key: str) -> Any:
        value: Any = self
        for part in key.split("."):
            value = getattr(value, part)
        return value
