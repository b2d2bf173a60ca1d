"""The settings of one instance of the service, read from a JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SharedCacheSettings(Part):
    """The Valkey behind the instances, found through its sentinels, or directly where there are none."""

    host: str = "127.0.0.1"
    port: int
    username: str
    password: SecretStr
    sentinels: tuple[tuple[str, int], ...] = ()
    sentinel_password: SecretStr = SecretStr("")
    sentinel_name: str = "cache"
    ttl: Seconds = 3600
    ttl_jitter: Annotated[float, Field(ge=0, lt=1)] = 0.1
    timeout: Seconds = 1.0


class MemoryCacheSettings(Part):
    """The cache inside the process: the only one, or what remains when the shared one is away."""

    max_keys: Count = 1000
    ttl: Seconds = 300
    cleanup_interval: Seconds = 30


class Settings(Part):
    name: str = "artisan-market"
    instance: str = "1"
    host: str = "127.0.0.1"
    port: int
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    database_uri: SecretStr | None = None
    database: str = "market"
    memory_cache: MemoryCacheSettings = MemoryCacheSettings()
    shared_cache: SharedCacheSettings | None = None
    list_seconds: Seconds = Field(default=30, description="how old a list may be")
    warm: dict[str, Count] = Field(default={}, description="kind of entry -> how many of the most popular at start-up")
    payments_url: str

    token_secret: SecretStr
    token_seconds: Seconds = 3600

    rate_limit: Count = Field(default=60_000, description="requests per caller and minute")
    login_limit: Count = Field(default=60, description="login attempts per caller and minute")
    limit_by_user: bool = Field(default=False, description="callers with a token have a limit of their own")

    page_size: Count = 20
    page_limit: Count = 100
    paginate: bool = Field(default=False, description="links to the neighbouring pages")
    max_body: Count | None = 100_000
    max_url: Count | None = None
    max_headers: Count | None = None

    headers: dict[str, str] = Field(default={}, description="sent with every answer")
    drop_headers: tuple[str, ...] = ()
    name_instance: bool = Field(default=False, description="X-Instance-Id says which instance answered")
    sanitise: bool = Field(default=False, description="markup is removed from every text that comes in")
    compress: bool = False
    revalidate: bool = Field(default=False, description="ETag and 304")
    hashed_assets: bool = Field(default=False, description="content hash in asset names, cached for a year")
    answer_options: bool = False
    own_not_found: bool = Field(
        default=True, description="unknown addresses get the JSON of all other errors, not a page"
    )
    banner: bool = Field(default=True, description="the Server header names the web server")
    tracing: bool = Field(default=False, description="joins the caller's W3C trace")
    detailed_health: bool = Field(default=False, description="/health/live and /health/ready with every dependency")
    management_port: int | None = Field(default=None, description="Prometheus metrics, on a port of their own")
    security_contact: str | None = Field(default=None, description="for /.well-known/security.txt")
