"""The two stages of the marketplace: as the assessment found it, and with its recommendations applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_POLICY = {
    "default-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",
    "script-src": "'self'",
    "script-src-attr": "'none'",
    "img-src": "'self' data: https:",
    "connect-src": "'self'",
    "font-src": "'self'",
    "object-src": "'none'",
    "media-src": "'self'",
    "frame-src": "'none'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
}

_HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Origin-Agent-Cluster": "?1",
    "X-Permitted-Cross-Domain-Policies": "none",
    "X-XSS-Protection": "0",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """`service` are settings of every instance, `database` the options of its connection string.

    `seeds` is how many members that string names, `write_concern` the set's default, `oplog_hours` how long the oplog
    keeps entries whatever its size, `orders_index` the fields by which orders are found, and `leftovers` are indexes
    that nothing needs any more. `reports` says that last night's reports went through whole collections, for want of an
    index. `run_in` is how many requests customers sent before the deployment counts as started.
    """

    name: str
    tls: bool
    shared_cache: bool
    instances: int
    database: Mapping[str, str]
    service: Mapping[str, Any] = field(default_factory=dict)
    warm: Mapping[str, int] = field(default_factory=dict)
    seeds: int = 3
    write_concern: int | str = "majority"
    oplog_hours: int = 48
    orders_index: tuple[str, ...] = ("user_id", "created_at")
    leftovers: Mapping[str, str] = field(default_factory=dict)
    reports: bool = False
    run_in: int = 1000


CURRENT = Stage(
    name="current",
    tls=False,
    shared_cache=False,
    instances=1,
    database={
        "maxPoolSize": "20",
        "minPoolSize": "5",
        "retryWrites": "true",
        "retryReads": "true",
        "w": "1",
        "authMechanism": "SCRAM-SHA-1",  # as in the tutorial that it was copied from
    },
    service={"page_size": 100, "page_limit": 500, "max_body": None, "own_not_found": False},
    seeds=1,
    write_concern=1,
    oplog_hours=0,
    orders_index=("created_at",),
    leftovers={"products": "category"},
    reports=True,
    run_in=8000,  # nothing warms its cache but use
)

PRODUCTION = Stage(
    name="production",
    tls=True,
    shared_cache=True,
    instances=2,
    database={
        "maxPoolSize": "50",
        "minPoolSize": "10",
        "maxIdleTimeMS": "30000",
        "serverSelectionTimeoutMS": "5000",
        "connectTimeoutMS": "10000",
        "socketTimeoutMS": "45000",
        "waitQueueTimeoutMS": "5000",
        "retryWrites": "true",
        "retryReads": "true",
        "readPreference": "secondaryPreferred",
        "w": "majority",
        "appName": "artisan-market",
    },
    service={
        "headers": _HEADERS,
        "banner": False,
        "sanitise": True,
        "limit_by_user": True,
        "list_seconds": 120,
        "max_url": 8192,
        "max_headers": 16_384,
        "paginate": True,
        "compress": True,
        "revalidate": True,
        "hashed_assets": True,
        "answer_options": True,
        "tracing": True,
        "detailed_health": True,
        "name_instance": True,
        "security_contact": "mailto:security@market.example",
    },
    warm={"product": 2500, "user": 1500, "artisan": 300},
)

STAGES: Mapping[str, Stage] = {stage.name: stage for stage in (CURRENT, PRODUCTION)}
