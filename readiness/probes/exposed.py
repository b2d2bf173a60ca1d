"""Files, consoles and interfaces that must not be open to anybody, and how their content begins.

They are looked for at the origin and, where the base URL has a path, below that as well: a repository lies at the root
of a web server even if the API under audit does not. Served means: status 200 or 206, a beginning as such a file has,
and an answer unlike the one for unknown paths. The content is looked at and forgotten.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from readiness.facts.base import Absent
from readiness.facts.exchange import Exchange
from readiness.facts.hardening import ExposedKind, ExposedPath
from readiness.probes.asking import Asker
from readiness.probes.soft404 import Baseline, signature

FIRST_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Target:
    """`page` says that it is an HTML page; anything else served as HTML is no such file."""

    path: str
    kind: ExposedKind
    beginning: re.Pattern[str]
    page: bool = False


def _target(path: str, kind: ExposedKind, beginning: str, *, page: bool = False) -> Target:
    return Target(path, kind, re.compile(beginning, re.DOTALL), page)


_SETTING = (
    r"(?:[ \t]*(?:#[^\n]*)?\n){0,50}(?:export )?[A-Za-z_]\w*=[^\n]*\n(?:[^\n]*\n){0,50}?(?:export )?[A-Za-z_]\w*="
)
_SQL = r"(?:[^\n]*\n){0,40}?\s*(?:CREATE TABLE|INSERT INTO|-- [^\n]*\bdump\b)"
_JSON = r"\s*\{.{0,900}?"
_PAGE = r".{0,1000}?"
TARGETS = (
    _target("/.git/HEAD", "secret", r"(?:ref: refs/\S+|[0-9a-f]{40})\s*\Z"),
    _target("/.git/config", "secret", r"\s*(?:[#;][^\n]*\n\s*)*\[core\]"),
    _target("/.env", "secret", _SETTING),
    _target("/.env.production", "secret", _SETTING),
    _target("/.svn/entries", "secret", r"\d{1,3}\n(?:\n|dir\n)|\d{1,3}\n\Z"),
    _target("/.DS_Store", "secret", "\x00\x00\x00\x01Bud1"),
    _target("/id_rsa", "secret", r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----"),
    _target("/backup.sql", "secret", _SQL),
    _target("/dump.sql", "secret", _SQL),
    _target("/dump.rdb", "secret", r"(?:REDIS|VALKEY)\d{3,4}"),
    _target("/docker-compose.yml", "secret", r"(?:[^\n]*\n){0,20}?services:\s*\n\s+\S"),
    _target("/wp-config.php.bak", "secret", r"<\?php.{0,1000}"),
    _target("/actuator/env", "secret", _JSON + r'"propertySources"'),
    _target("/actuator/heapdump", "secret", r""),  # asked for by HEAD: the file may be of any size
    _target("/actuator", "debug", _JSON + r'"_links"'),
    _target("/debug/pprof/", "debug", _PAGE + r"/debug/pprof/", page=True),
    _target("/server-status", "debug", _PAGE + r"Apache (?:Server )?Status", page=True),
    _target("/nginx_status", "debug", r"Active connections: \d"),
    _target("/console", "debug", _PAGE + r"(?:Werkzeug|Interactive Console|H2 Console)", page=True),
    _target("/phpinfo.php", "debug", _PAGE + r"(?:phpinfo\(\)|PHP Version)", page=True),
    _target("/telescope", "debug", _PAGE + r"<title>Telescope", page=True),
    _target("/rails/info/routes", "debug", _PAGE + r"(?:<title>Routes|Rails\.root)", page=True),
    _target("/openapi.json", "interface", _JSON + r'"(?:openapi|swagger)"\s*:'),
    _target("/docs", "interface", _PAGE + r"(?:swagger-ui|redoc)", page=True),
    _target("/swagger-ui/", "interface", _PAGE + r"swagger-ui", page=True),
    _target("/graphql?query=%7B__schema%7BqueryType%7Bname%7D%7D%7D", "interface", _JSON + r'"__schema"'),
    _target("/metrics", "interface", r"(?:[^\n]*\n){0,5}?# (?:HELP|TYPE) \w"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look: the origin, or nothing for the base URL; its path; answers to paths that do not exist there."""

    origin: str
    path: str
    unknown: Sequence[Exchange]


def origin_above(base: str) -> str:
    """The origin of a base URL that has a path of its own, or nothing: what lies there is not below the base."""
    parts = urlsplit(base)
    return f"{parts.scheme}://{parts.netloc}" if parts.path.strip("/") else ""


async def ask_exposed(ask: Asker, places: Sequence[Place]) -> tuple[ExposedPath, ...]:
    """Asks anonymously for each target at each place."""
    return tuple(await asyncio.gather(*(_one(ask, place, target) for place in places for target in TARGETS)))


async def _one(ask: Asker, place: Place, target: Target) -> ExposedPath:
    head = target.path.endswith("/heapdump")
    answer = await ask(
        "exposed",
        "HEAD" if head else "GET",
        place.origin + target.path,
        headers={} if head else {"Range": f"bytes=0-{FIRST_BYTES - 1}"},
        keep=FIRST_BYTES,
        anonymous=True,
        broken=True,
    )
    path = place.path + target.path.partition("?")[0]
    if isinstance(answer, Absent):
        return ExposedPath(path=path, kind=target.kind, page=target.page, status=answer)
    begins = _a_dump(answer) if head else _begins(target, answer)
    return ExposedPath(
        path=path,
        kind=target.kind,
        page=target.page,
        status=answer.status,
        media_type=answer.media_type,
        signature=begins,
        like_unknown=_like(answer, place.unknown),
    )


def _begins(target: Target, answer: Exchange) -> bool:
    return target.beginning.match(answer.body.replace("\r\n", "\n")) is not None


def _a_dump(answer: Exchange) -> bool:
    return answer.ok and answer.media_type == "application/octet-stream"


def _like(answer: Exchange, unknown: Sequence[Exchange]) -> bool:
    if Baseline(tuple(map(signature, unknown))).matches(answer):
        return True
    if answer.method == "HEAD":
        return any(other.ok and other.media_type == answer.media_type for other in unknown)
    return any(bool(other.body) and answer.body == other.body[: len(answer.body)] for other in unknown)
