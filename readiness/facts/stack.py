"""What the service is made of, by the signs that its answers, its metrics and its database connections carry.

It serves the choice of a fix's text, nothing else: no check is judged by it, so a wrong guess costs a reader one look.
Evidence quotes the audited systems and is as hostile as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from readiness.facts.base import Facts, maybe
from readiness.facts.collected import Collected
from readiness.facts.delivery import DeliveryFacts
from readiness.facts.exchange import Exchange
from readiness.facts.http import HttpFacts
from readiness.facts.kubernetes import KubernetesFacts
from readiness.facts.mongodb import MongoFacts
from readiness.facts.mongodb_server import ConnectionGroup
from readiness.facts.redis import RedisFacts
from readiness.facts.redis_client import CacheClientFacts
from readiness.facts.service import ServiceFacts
from readiness.model import RUNTIMES, STACKS

Sign = tuple[str, str]
"""A key of `STACKS` and the evidence for it."""

F = TypeVar("F", bound=Facts)
_LONGEST = 100

# The beginning of a header's value -> what sends it. Frameworks come first: of two signs the first is kept.
_SERVERS = {
    "nginx": "nginx",
    "openresty": "nginx",
    "ingress-nginx": "kubernetes",
    "uvicorn": "fastapi",
    "hypercorn": "fastapi",
    "daphne": "django",
    "gunicorn": "python",
    "waitress": "python",
    "werkzeug": "python",
    "wsgiserver": "python",
    "cheroot": "python",
    "granian": "python",
}
_POWERED = {"express": "express", "next.js": "node", "node": "node"}
_COOKIES = {"csrftoken": "django", "django_language": "django", "connect.sid": "express"}
_BODIES = (
    ("express", re.compile(r"<pre>Cannot (GET|HEAD|OPTIONS|POST|PATCH|TRACE) /")),
    ("fastapi", re.compile(r'\A\s*\{"detail":\s*"(Not Found|Method Not Allowed)"\}\s*\Z')),
    ("django", re.compile(r"<h1>Not Found</h1>\s*<p>The requested resource was not found on this server\.</p>")),
    ("django", re.compile(r'\A\s*\{"detail":\s*"(Not found\.|Method \\"[A-Z]+\\" not allowed\.)"')),
    ("kubernetes", re.compile(r"\Adefault backend - 404")),
    ("nginx", re.compile(r"<center>nginx(/[\d.]+)?</center>")),
)
_METRICS = (
    ("fastapi", re.compile(r"(starlette|fastapi)_")),
    ("django", re.compile(r"django_(http|db|cache|model)_")),
    ("express", re.compile(r"express_")),
    ("node", re.compile(r"nodejs_(version_info|eventloop_lag|heap_size|active_handles)")),
    ("python", re.compile(r"python_(info|gc_)")),
    ("nginx", re.compile(r"nginx_(http_requests|connections|ingress)")),
)
_CLIENTS = {"nodejs": "node", "ioredis": "node", "node-redis": "node", "pymongo": "python", "redis-py": "python"}
_TOOLS = ("mongosh", "compass", "mongodb_exporter", "readiness")
# A pod of a Deployment ends in its template's hash and its own, of an alphabet without vowels and look-alikes.
_HASH = "[bcdf-hj-np-tv-xz2456789]"
_POD = re.compile(rf"[a-z0-9](?:[-a-z0-9.]{{0,200}}[a-z0-9])?-{_HASH}{{8,10}}-{_HASH}{{5}}")


def recognised(collected: Mapping[str, Collected]) -> dict[str, str]:
    """Keys of `STACKS` with the evidence, in the order of `STACKS`; a framework brings its runtime.

    `collected` is by the name of the facts.
    """
    found: dict[str, str] = {}
    for name, evidence in _signs(collected):
        found.setdefault(name, evidence[:_LONGEST])
    if "django" in found and found.get("fastapi", "").startswith("server: "):
        del found["fastapi"]  # an ASGI server, which serves Django as well
    for framework, runtime in RUNTIMES.items():
        if framework in found:
            found.setdefault(runtime, found[framework])
    return {name: found[name] for name in STACKS if name in found}


def _signs(collected: Mapping[str, Collected]) -> Iterator[Sign]:
    if (http := _facts(collected, HttpFacts)) is not None:
        yield from _answers(exchange for _, exchange in http.answers())
    if (delivery := _facts(collected, DeliveryFacts)) is not None:
        yield from _instances(maybe(lambda: delivery.instances) or {})
    if (service := _facts(collected, ServiceFacts)) is not None:
        yield from _exposed(service)
    if (mongodb := _facts(collected, MongoFacts)) is not None:
        yield from _database_clients(mongodb)
    yield from _cache_clients(_facts(collected, CacheClientFacts), _facts(collected, RedisFacts))
    if _facts(collected, KubernetesFacts) is not None:
        yield "kubernetes", "its API was read"


def _facts(collected: Mapping[str, Collected], kind: type[F]) -> F | None:
    entry = collected.get(kind.__name__)
    facts = entry.facts if entry is not None else None
    return maybe(facts.reached) if isinstance(facts, kind) else None


def _answers(exchanges: Iterable[Exchange]) -> Iterator[Sign]:
    for exchange in exchanges:
        for name, value in exchange.headers:
            yield from _header(name.lower(), value)
        if exchange.status >= 400:
            for stack, pattern in _BODIES:
                if found := pattern.search(exchange.body[:4000]):
                    yield stack, f"its error page: {found[0].strip()}"


def _header(name: str, value: str) -> Iterator[Sign]:
    known = {"server": _SERVERS, "x-powered-by": _POWERED}.get(name)
    if known is not None:
        for start, stack in known.items():
            if value.strip().lower().startswith(start):
                yield stack, f"{name}: {value.strip()}"
    if name == "set-cookie":
        cookie = value.partition("=")[0].strip()
        if cookie.lower() in _COOKIES:
            yield _COOKIES[cookie.lower()], f"its cookie {cookie}"


def _instances(instances: Mapping[str, tuple[str, ...]]) -> Iterator[Sign]:
    for source, names in instances.items():
        for name in names:
            if _POD.fullmatch(name):
                yield "kubernetes", f"an instance calls itself {name} ({source})"


def _exposed(service: ServiceFacts) -> Iterator[Sign]:
    for family in maybe(lambda: service.metrics.families) or ():
        for stack, pattern in _METRICS:
            if pattern.match(family.name):
                yield stack, f"its metric {family.name}"


def _database_clients(mongodb: MongoFacts) -> Iterator[Sign]:
    for member in maybe(lambda: mongodb.members) or ():
        groups: tuple[ConnectionGroup, ...] = maybe(lambda each=member: each.connections) or ()  # type: ignore[misc]
        for group in groups:
            known = f"{group.app} {group.driver}".lower()
            if group.internal or any(tool in known for tool in _TOOLS):
                continue
            for start, stack in _CLIENTS.items():
                if group.driver.lower().startswith(start):
                    yield stack, f"its database driver {group.driver}"


def _cache_clients(client: CacheClientFacts | None, redis: RedisFacts | None) -> Iterator[Sign]:
    named = [maybe(lambda: client.library) or ""] if client is not None else []
    groups = (maybe(lambda: redis.clients.groups) or ()) if redis is not None else ()
    named += [group.library for group in groups if group.kind == "client"]
    for library in named:
        for start, stack in _CLIENTS.items():
            if library.lower().startswith(start):
                yield stack, f"its cache client {library}"
