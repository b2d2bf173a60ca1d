"""A few GET requests to a service of which nothing is known: what it is, and which paths its OpenAPI document names."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

from readiness.api import Context, HttpSettings, ProbeError, absent, probe
from readiness.facts.exchange import Exchange
from readiness.facts.survey import OpenApi, Operation, SurveyFacts
from readiness.probes.fetch import fetcher
from readiness.probes.polite import Polite, calibrate, redirects
from readiness.probes.soft404 import Baseline

DOCUMENTS = (
    "/openapi.json", "/v3/api-docs", "/swagger.json", "/api/openapi.json", "/swagger/v1/swagger.json", "/api-docs",
    "/api/schema/", "/api-json", "/swagger/doc.json", "/v2/api-docs", "/q/openapi", "/api/v1/openapi.json",
)  # fmt: skip
TRIED = 12
"""How many of the documented GETs are asked."""
MOST_OPERATIONS = 2000
MOST_WRITES = 5
MOST_UNSURE = 4

_JSON = {"Accept": "application/json, application/vnd.oai.openapi+json;q=0.9"}
_BROWSER = {"Accept": "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8"}
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._~/-]{0,200}")
# A GET should change nothing, but not everybody knows; streams never end, and files are large.
_DELICATE = re.compile(
    r"(?i)(?:^|[/_.-])(?:log-?(?:in|out|off)|sign-?(?:in|out|off)|auth|oauth2?|callback|delete|remove|reset|purge|flush|"
    r"clear|stop|shutdown|restart|reload|trigger|run|send|unsubscribe|confirm|verify|export|download|dump|backup|"
    r"stream|events|sse|ws|websocket|debug)(?:$|[/_.-])"
)


@probe(needs="http.url")
async def survey(http: HttpSettings, context: Context) -> SurveyFacts:
    """Root, two unknown paths, the usual places of an OpenAPI document, and a dozen of its parameterless GETs."""
    assert http.url is not None
    async with fetcher(http, context) as fetch:
        polite = Polite(fetch)
        baseline, unknown = await calibrate(polite, context.canary)
        root = await polite.get("/", headers=_BROWSER)
        moved = _elsewhere(root)
        if root is not None:
            try:
                root = await polite.follow(root)
            except (ProbeError, ValueError):
                moved = ""
        page = await polite.get(f"/{context.canary}-page", headers=_BROWSER)
        keep = int(context.limits.response_mb * 1_000_000)
        found = await _document(polite, baseline, http.url, keep)
        return SurveyFacts(
            root=root if root is not None else absent("no answer in time"),
            unknown=tuple(each for each in (unknown, page) if each is not None),
            moved=moved,
            openapi=await _asked(polite, found, http.url) if found else None,
            requests=polite.sent,
        )


def _elsewhere(root: Exchange | None) -> str:
    """The other origin to which the root redirects, or nothing."""
    if root is None or not redirects(root):
        return ""
    here, there = urlsplit(root.url), urlsplit(urljoin(root.url, root.header("location") or ""))
    other = (here.scheme, here.netloc) != (there.scheme, there.netloc) and there.scheme in ("http", "https")
    return f"{there.scheme}://{there.netloc}" if other and re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", there.netloc) else ""


async def _document(polite: Polite, baseline: Baseline, base: str, keep: int) -> tuple[str, dict[str, Any]] | None:
    """Place and content of the first document found, a few places at a time; at the origin too, if `base` is below."""
    parts = urlsplit(base)
    above = [f"{parts.scheme}://{parts.netloc}{path}" for path in DOCUMENTS[:4]] if parts.path.strip("/") else []
    places = [*DOCUMENTS, *above]
    for start in range(0, len(places), 4):
        paths = places[start : start + 4]
        answers = await asyncio.gather(*(polite.find(path, baseline, headers=_JSON, keep=keep) for path in paths))
        for answer in answers:
            data = answer.exchange.parsed() if answer.exchange is not None and answer.exchange.ok else None
            if isinstance(data, dict) and isinstance(data.get("paths"), dict) and _version(data):
                return answer.path, data
    return None


def _version(data: dict[str, Any]) -> str:
    version = data.get("openapi", data.get("swagger"))
    return version[:20] if isinstance(version, str) else ""


async def _asked(polite: Polite, found: tuple[str, dict[str, Any]], base: str) -> OpenApi:
    """What the document says, and what the first of its GETs answer."""
    path, document = found
    info = document.get("info")
    title = info.get("title") if isinstance(info, dict) else ""
    gets, writes, count = _operations(document, path, base)
    # The shorter, the more ordinary; open ones first, because they are what there is to measure.
    gets.sort(key=lambda get: (get.secured, get.path.count("/"), len(get.path)))
    some = [*[get for get in gets if not get.secured][: TRIED - MOST_UNSURE], *[get for get in gets if get.secured]]
    answers = await asyncio.gather(*(polite.get(get.path, headers=_JSON, keep=0) for get in some[:TRIED]))
    asked = tuple(
        get if answer is None else get.model_copy(update={"status": answer.status, "media_type": answer.media_type})
        for get, answer in zip(some[:TRIED], answers, strict=True)
    )
    return OpenApi(
        path=path,
        title=title[:200] if isinstance(title, str) else "",
        version=_version(document),
        operations=count,
        gets=asked,
        writes=tuple(writes[:MOST_WRITES]),
    )


def _operations(document: dict[str, Any], path: str, base: str) -> tuple[list[Operation], list[str], int]:
    """Parameterless GETs, paths that take a body, and the number of all operations."""
    below = urlsplit(base).path.rstrip("/")
    prefix = _prefix(document, path if path.startswith("http") else base.rstrip("/") + path, below)
    gets: list[Operation] = []
    writes: list[str] = []
    count = 0
    for template, item in document["paths"].items():
        if count >= MOST_OPERATIONS:
            break
        if not isinstance(item, dict):
            continue
        methods = {name: entry for name, entry in item.items() if name in _METHODS and isinstance(entry, dict)}
        count += len(methods)
        target = f"{prefix}{template}"
        if not target.startswith(f"{below}/") or not _PLAIN_PATH.fullmatch(target) or ".." in target:
            continue
        own = target.removeprefix(below)
        if "post" in methods and not _DELICATE.search(own):
            writes.append(own)
        get = methods.get("get")
        if get is not None and not _DELICATE.search(own) and not _demanding(document, item, get):
            gets.append(Operation(path=own, secured=_secured(document, get)))
    return gets, writes, count


def _prefix(document: dict[str, Any], url: str, below: str) -> str:
    """The path under which the documented paths lie: that of the first server, or Swagger's `basePath`.

    A document that names none lies beside what it documents.
    """
    servers, place = document.get("servers"), document.get("basePath", "")
    if isinstance(servers, list) and servers and isinstance(servers[0], dict):
        place = servers[0].get("url", "")
    if not isinstance(place, str) or not place or "{" in place:
        return below if urlsplit(url).path.startswith(f"{below}/") else ""
    try:
        return urlsplit(urljoin(url, place)).path.rstrip("/")
    except ValueError:
        return below


def _demanding(document: dict[str, Any], item: dict[str, Any], get: dict[str, Any]) -> bool:
    """Whether a request needs a parameter."""
    return any(parameter.get("required", False) is not False for parameter in _parameters(document, item, get))


def _parameters(document: dict[str, Any], *holders: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for holder in holders:
        listed = holder.get("parameters")
        for entry in listed[:100] if isinstance(listed, list) else ():
            resolved = _referenced(document, entry["$ref"]) if isinstance(entry, dict) and "$ref" in entry else entry
            yield resolved if isinstance(resolved, dict) else {"required": True}


def _referenced(document: dict[str, Any], reference: Any) -> Any:
    """What `#/a/b` points at, or None; one step only."""
    target: Any = document
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    for part in reference[2:].split("/")[:10]:
        target = target.get(part) if isinstance(target, dict) else None
    return target


def _secured(document: dict[str, Any], get: dict[str, Any]) -> bool:
    """Whether a credential is demanded: a list of alternatives, of which an empty one is none."""
    demands = get.get("security", document.get("security"))
    return isinstance(demands, list) and bool(demands) and all(isinstance(each, dict) and each for each in demands)
