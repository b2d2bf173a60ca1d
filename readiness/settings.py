"""The sections of the configuration, as types. Probes and checks ask for the section they need by its type."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from readiness.model import Severity

ComponentId = Literal["database", "caching", "security", "monitoring", "error_handling", "performance"]
Profile = Literal["web", "api", "internal"]
Score = Annotated[float, Field(ge=0, le=10)]
Positive = Annotated[float, Field(gt=0)]


def _path(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("a path on the service, beginning with /")
    return value


def _path_or_url(value: str) -> str:
    if not value.startswith(("/", "http://", "https://")):
        raise ValueError("a path beginning with /, or an http(s) URL")
    return value


def _http_url(value: str) -> str:
    import httpx  # here, because most sections are used without it

    try:
        url = httpx.URL(value)
    except (httpx.InvalidURL, ValueError):
        raise ValueError("not a URL") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("expected http://HOST[:PORT] or https://HOST[:PORT]")
    if url.userinfo:
        raise ValueError("put credentials into http.headers, not into the URL")
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
        if not all(_HOST.fullmatch(host) for host in hosts):
            raise ValueError(
                "expected HOST[:PORT] after the credentials; percent-encode @ : / ? # in user and password"
            )
        return value

    return AfterValidator(check)


_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:@\[\]]+)(:[0-9]{1,5})?")


def _https_url(value: str) -> str:
    if not value.startswith("https://"):
        raise ValueError("expected https://HOST/...")
    return _http_url(value)


def _host_port(value: str) -> str:
    if not _HOST.fullmatch(value) or not value.rpartition(":")[2].isdecimal():
        raise ValueError("expected HOST:PORT")
    return value


HostPort = Annotated[str, AfterValidator(_host_port)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
HttpsUrl = Annotated[str, AfterValidator(_https_url)]
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


class Expectations(Section):
    response_time_ms: Positive = 100
    database_query_ms: Positive = 50
    cache_hit_rate: Annotated[float, Field(gt=0, le=1)] = 0.95
    concurrent_users: Annotated[int, Field(gt=0)] = 10_000


class LoadSettings(Section):
    allow: bool = False
    rate: Positive = 50
    duration: Positive = 10
    connections: Annotated[int, Field(gt=0, le=65_000)] = 50


class Limits(Section):
    request_seconds: Positive = 10
    probe_seconds: Positive = Field(default=30, description="for one probe, besides the window")
    audit_seconds: Positive = 120
    response_mb: Positive = 5
    window_seconds: Positive = 3


class ComponentSettings(Section):
    absent: str | None = Field(default=None, min_length=3, description="why the deployment has no such component")
    weight: Positive = 1


class GateSettings(Section):
    fail_under: Score | None = None
    components: dict[ComponentId, Score] = {}
    fail_on: Severity | None = None
    min_coverage: Annotated[float, Field(ge=0, le=100)] = 80

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
    expires: dt.date


class AttestationSettings(Section):
    error_tracking: Attestation | None = Field(default=None, description="an error tracker gets the service's errors")
    log_shipping: Attestation | None = Field(default=None, description="logs are collected and can be searched")
    on_call: Attestation | None = Field(default=None, description="somebody answers an alert at any hour")
    uptime: Attestation | None = Field(default=None, description="something outside watches the service")
    measured_only: bool = Field(default=False, description="ignore what is only declared; --measured-only")


class WaiverSettings(Section):
    check: str
    reason: str = Field(min_length=3)
    owner: str = Field(min_length=1)
    expires: dt.date


class Settings(Section):
    """A whole configuration. Packs may add sections of their own; `config.load` builds that larger model."""

    service: str = "service"
    environment: str = "production"
    target_score: Score = 9
    http: HttpSettings = HttpSettings()
    mongodb: MongoDBSettings = MongoDBSettings()
    redis: RedisSettings = RedisSettings()
    prometheus: PrometheusSettings = PrometheusSettings()
    expectations: Expectations = Expectations()
    load: LoadSettings = LoadSettings()
    limits: Limits = Limits()
    components: dict[ComponentId, ComponentSettings] = {}
    gate: GateSettings = GateSettings()
    attestations: AttestationSettings = AttestationSettings()
    waivers: tuple[WaiverSettings, ...] = ()
    checks: dict[str, dict[str, Any]] = {}
    packs: tuple[Path, ...] = ()

    def section(self, wanted: type[Section]) -> Section:
        """The section of that type. Raises LookupError where this configuration has none."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if type(value) is wanted:
                return value
        raise LookupError(f"no section {wanted.__name__}")

    def given(self, key: str) -> bool:
        """Whether the dotted key, such as `redis.url`, has a value; `a.b or a.c` asks for either."""
        return any(self._value(each) not in (None, (), {}, "") for each in key.split(" or "))

    def _value(self, key: str) -> Any:
        value: Any = self
        for part in key.split("."):
            value = getattr(value, part)
        return value
