"""What a page or a JSON answer says of itself: assets that it names, lists that it holds. Bounded, judging nothing."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

MOST_LINKS = 200
MOST_JSON = 1_000_000
MOST_NODES = 2_000
INSTANCE_FIELDS = ("instance", "instance_id", "instanceid", "hostname", "pod", "pod_name", "container_id", "pid")
_ABOUT_ITSELF = ("instance", "server", "process", "system", "app", "service", "runtime", "info", "meta", "details")
_PAGED = frozenset({
    "next", "next_page", "nextpage", "next_cursor", "nextcursor", "cursor", "page", "pages", "limit", "offset", "total",
    "total_count", "totalcount", "total_pages", "per_page", "perpage", "page_size", "pagesize", "has_more", "hasmore",
    "has_next", "links", "_links", "pagination", "next_token", "nexttoken",
})  # fmt: skip
_HASHED = re.compile(r"[._-](?=[0-9A-Za-z_-]*[0-9])[0-9A-Za-z_-]{8,64}\.(?:[a-z0-9]+\.)?[a-z0-9]{2,5}$")


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset of the page's own origin: its path with the query; scripts and styles are text, images are not."""

    path: str
    text: bool

    @property
    def hashed(self) -> bool:
        """Whether its name carries a hash of its content, as bundlers write it."""
        return _HASHED.search(self.path.partition("?")[0].rpartition("/")[2]) is not None


class _Links(HTMLParser):
    """Collects what a page loads: (address, whether it is text)."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, bool]] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if len(self.found) >= MOST_LINKS:
            return
        given = {name: value or "" for name, value in attrs}
        rel = given.get("rel", "").lower().split()
        match tag:
            case "base" if not self.base:
                self.base = given.get("href", "")
            case "script" if given.get("src"):
                self.found.append((given["src"], True))
            case "link" if given.get("href") and ("stylesheet" in rel or "modulepreload" in rel):
                self.found.append((given["href"], True))
            case "link" if given.get("href") and "icon" in rel:
                self.found.append((given["href"], False))
            case "img" if given.get("src"):
                self.found.append((given["src"], False))
            case _:
                pass


def assets(html: str, url: str) -> tuple[list[Asset], dict[str, int]]:
    """The assets that a page at `url` names: those of its own origin, text first, and how many each other host has."""
    parser = _Links()
    with contextlib.suppress(Exception):  # html.parser asserts on some malformed declarations
        parser.feed(html)
    own: dict[str, Asset] = {}
    foreign: dict[str, int] = {}
    origin = urlsplit(url)
    for address, text in parser.found:
        try:
            target = urlsplit(urljoin(urljoin(url, parser.base), address.strip()))
            host = target.hostname or ""
        except ValueError:
            continue
        if target.scheme not in ("http", "https") or not host:
            continue
        if (target.scheme, target.netloc) == (origin.scheme, origin.netloc):
            path = (target.path or "/") + (f"?{target.query}" if target.query else "")
            own.setdefault(path, Asset(path, text))
        else:
            foreign[host[:200]] = foreign.get(host[:200], 0) + 1
    return sorted(own.values(), key=lambda asset: not asset.text), foreign


def parse(body: str) -> Any:
    """A JSON document, or None where it is none, too long, or nested too deeply."""
    if len(body) > MOST_JSON:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def longest_list(document: Any) -> tuple[int | None, bool]:
    """The length of the longest list at the top or one level below it, and whether there are marks of paging."""
    if isinstance(document, list):
        return len(document), False
    if not isinstance(document, dict):
        return None, False
    nested = [value for value in document.values() if isinstance(value, dict)][:20]
    lengths = [len(v) for each in (document, *nested) for v in each.values() if isinstance(v, list)]
    keys = {str(key).lower() for each in (document, *nested) for key in each}
    return max(lengths, default=None), bool(keys & _PAGED)


def instance_fields(document: Any) -> dict[str, str]:
    """Fields that name the answering instance, at the top or in a part about the service itself."""
    found: dict[str, str] = {}
    if isinstance(document, dict):
        parts = [document, *(document[name] for name in _ABOUT_ITSELF if isinstance(document.get(name), dict))]
        for key, value in (pair for part in parts for pair in list(part.items())[:MOST_NODES]):
            name = str(key).lower().replace("-", "_")
            if name in INSTANCE_FIELDS and isinstance(value, (str, int)) and not isinstance(value, bool):
                found.setdefault(name, str(value)[:100])
    return found
