"""A few dozen single requests to the service: ordinary ones, broken ones, and ones without a credential.

Only GET, HEAD and OPTIONS go to paths that may exist. A body goes to an invented path, or to one that the user named
for bodies, and never validates.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any, Literal

import httpx

from readiness.api import Context, HttpSettings, ProbeError, probe
from readiness.facts.base import Absent
from readiness.facts.exchange import Exchange
from readiness.facts.http import CorsAnswer, HttpFacts, Network, PathAnswer, WritablePath
from readiness.names import Names
from readiness.probes.asking import Answer, Asker, missing, shown
from readiness.probes.dialing import host_of
from readiness.probes.fetch import fetcher
from readiness.probes.network import widest
from readiness.probes.protected import MOST_PROTECTED, ask_protected

MOST_REQUESTS = 74
MOST_ENDPOINTS, MOST_WRITABLE = 6, 2
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8"}
JSON = {"Accept": "application/json"}
CUT_OFF_JSON = b'{"a": '
OVERSIZED = b'{"a": "' + b"x" * 1_572_864
LARGE_HEADER = 20_480
_ASSET = re.compile(r"(?:src|href)\s{0,9}=\s{0,9}[\"']?([^\"'\s<>?#]{1,300}\.(?:m?js|css)\b[^\"'\s<>]{0,100})", re.I)


@probe(needs="http.url")
async def probe_http(settings: HttpSettings, context: Context) -> HttpFacts:
    """Root, unknown paths and endpoints as they are, then the same with what clients should not send."""
    assert settings.url is not None
    network = asyncio.create_task(network_of(settings.url, context.names))
    async with fetcher(settings, context) as fetch:
        ask = Asker(fetch, MOST_REQUESTS)
        root, chain = await _root(ask, settings.url)
        baseline = await _baseline(ask, settings, context.canary)
        unknown = [answer.body for answer in baseline.values() if isinstance(answer, Exchange)]
        parts = await asyncio.gather(
            _ordinary(ask, root),
            _broken(ask, root),
            _endpoints(ask, settings.endpoints),
            _cors(ask, root, settings),
            _reflected(ask, root, settings, context.canary),
            ask_protected(ask, settings, unknown),
            _writable(ask, settings.writable),
        )
    found = {name: value for part in parts for name, value in part.items()}
    return HttpFacts(
        base=settings.url,
        profile=settings.profile or guess_profile(root, baseline, found["endpoints"]),
        profile_configured=settings.profile is not None,
        network=await network,
        canary=context.canary,
        checked_at=time.time(),
        requests=ask.sent,
        credentials=bool(settings.headers),
        root=root,
        chain=tuple(chain),
        limited=ask.limited,
        closed=tuple(ask.closed),
        left_out=(
            *settings.endpoints[MOST_ENDPOINTS:],
            *settings.protected[MOST_PROTECTED:],
            *settings.writable[MOST_WRITABLE:],
        ),
        **baseline,
        **found,
    )


async def network_of(url: str, names: Names) -> Network:
    """Where the addresses of the URL's host lie; "public" unless all of them are private or loopback."""
    host = host_of(url)
    try:
        where = widest(await names.addresses(host))
    except OSError:
        return "public"
    return "private" if where == "special" else where


async def _root(ask: Asker, url: str) -> tuple[Exchange, list[Exchange]]:
    """The root after redirects within its origin, and the redirects."""
    chain: list[Exchange] = []
    while True:
        answer = await ask("root", "GET", url, headers=BROWSER)
        if isinstance(answer, Absent):
            raise ProbeError(answer.reason)
        target = _redirect(answer)
        if target is None or len(chain) >= ask.fetch.limits.redirects:
            return answer, chain
        chain.append(answer)
        url = target


def _redirect(answer: Exchange) -> str | None:
    """Where a redirect within the same origin leads, or None."""
    location = answer.header("location")
    if answer.status not in (301, 302, 303, 307, 308) or location is None:
        return None
    try:
        here = httpx.URL(answer.url)
        target = here.join(location).copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError):
        return None
    same = (here.scheme, here.host, here.port) == (target.scheme, target.host, target.port)
    return str(target) if same and target.host and not target.userinfo else None


async def _baseline(ask: Asker, settings: HttpSettings, canary: str) -> dict[str, Any]:
    """What paths get that do not exist: every later "found" is held against these."""
    folder = settings.endpoints[0].partition("?")[0].rpartition("/")[0] if settings.endpoints else "/api"
    return await _together(
        not_found=ask("not_found", "GET", _unknown(canary), headers=JSON, broken=True),
        not_found_html=ask("not_found_html", "GET", _unknown(canary), headers=BROWSER, broken=True),
        not_found_api=ask("not_found_api", "GET", (folder or "/api") + _unknown(canary), headers=JSON, broken=True),
        not_found_file=ask("not_found_file", "GET", f"{_unknown(canary)}/deep.txt", anonymous=True, broken=True),
    )


async def _ordinary(ask: Asker, root: Exchange) -> dict[str, Any]:
    found = _ASSET.search(root.body) if root.media_type == "text/html" else None
    asset = str(httpx.URL(root.url).join(found[1])) if found and _joins(root.url, found[1]) else None
    answers = await _together(
        root_again=ask("root_again", "GET", root.url, headers=BROWSER),
        head=ask("head", "HEAD", root.url, headers=BROWSER),
        options=ask("options", "OPTIONS", root.url),
    )
    if asset is not None:
        answers["asset"] = await ask("asset", "GET", asset, keep=1024, anonymous=True)
    else:
        answers["asset"] = missing("the root names no script or style sheet of its own origin")
    return answers


def _joins(base: str, reference: str) -> bool:
    try:
        here, target = httpx.URL(base), httpx.URL(base).join(reference)
    except (httpx.InvalidURL, ValueError):
        return False
    return (here.scheme, here.host, here.port) == (target.scheme, target.host, target.port)


async def _broken(ask: Asker, root: Exchange) -> dict[str, Any]:
    """Requests that only a broken or hostile client sends, without a body."""
    answers = await _together(
        encoding=ask("encoding", "GET", "/%E0%A4%A", headers=JSON, broken=True),
        large_header=ask(
            "large_header", "GET", root.url, headers={"X-Readiness": "a" * LARGE_HEADER, **BROWSER}, broken=True
        ),
    )
    large = answers["large_header"]
    if isinstance(large, Exchange):
        answers["large_header"] = large.model_copy(update={"sent": {"X-Readiness": f"({LARGE_HEADER} bytes)"}})
    return answers


async def _endpoints(ask: Asker, paths: tuple[str, ...]) -> dict[str, Any]:
    asked = paths[:MOST_ENDPOINTS]
    answers = await asyncio.gather(*(ask("endpoints", "GET", path, headers=JSON) for path in asked))
    return {"endpoints": tuple(PathAnswer(path=p, answer=a) for p, a in zip(asked, answers, strict=True))}


async def _cors(ask: Asker, root: Exchange, settings: HttpSettings) -> dict[str, Any]:
    """Six origins: an invented one, that of sandboxed frames, two that resemble the own, the own over http, the own."""
    url = httpx.URL(root.url)
    host = url.host
    main = settings.endpoints[0] if settings.endpoints else root.url
    foreign = ["https://rdy.invalid", "null", f"https://{host}.rdy.invalid", f"https://rdy{host}"]
    own = f"{url.scheme}://{url.netloc.decode('ascii')}"
    asked = [(main, o, False) for o in (*foreign, *([f"http://{host}"] if url.scheme == "https" else []), own)]
    asked.append((main, "https://rdy.invalid", True))
    if main != root.url:
        asked.append((root.url, "https://rdy.invalid", False))

    async def one(path: str, origin: str, preflight: bool) -> CorsAnswer:
        headers = {"Origin": origin, **JSON}
        if preflight:
            headers |= {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
        answer = await ask("cors", "OPTIONS" if preflight else "GET", path, headers=headers, keep=1024)
        return CorsAnswer(path=shown(path), origin=origin, own=origin == own, preflight=preflight, answer=answer)

    return {"cors": tuple(await asyncio.gather(*(one(*arguments) for arguments in asked)))}


async def _reflected(ask: Asker, root: Exchange, settings: HttpSettings, canary: str) -> dict[str, Any]:
    """A marker with the characters that break out of HTML, in a query value."""
    asked = [root.url, _unknown(canary), *settings.endpoints[:1]]
    query = f"rdy={canary}'%22%3Cx7%3E"

    async def one(path: str) -> PathAnswer:
        answer = await ask(
            "reflected", "GET", f"{path}{'&' if '?' in path else '?'}{query}", headers=BROWSER, broken=True
        )
        return PathAnswer(path=shown(path), answer=answer)

    return {"reflected": tuple(await asyncio.gather(*map(one, asked)))}


async def _writable(ask: Asker, paths: tuple[str, ...]) -> dict[str, Any]:
    json_type, xml_type = ({"Content-Type": f"application/{kind}", **JSON} for kind in ("json", "xml"))

    async def one(path: str) -> WritablePath:
        answers = await _together(
            malformed=ask("malformed", "POST", path, headers=json_type, content=CUT_OFF_JSON, broken=True),
            patched=ask("patched", "PATCH", path, headers=json_type, content=CUT_OFF_JSON, broken=True),
            wrong_type=ask("wrong_type", "POST", path, headers=xml_type, content=b"<a", broken=True),
            oversized=ask("oversized", "POST", path, headers=json_type, content=OVERSIZED, keep=4096, broken=True),
        )
        return WritablePath(path=path, **answers)

    return {"writable": tuple(await asyncio.gather(*map(one, paths[:MOST_WRITABLE])))}


def guess_profile(
    root: Exchange, baseline: Mapping[str, Answer], endpoints: tuple[PathAnswer, ...] = ()
) -> Literal["web", "api"]:
    """web where a browser is served pages, api where clients are served data."""
    others = [answer for answer in baseline.values() if isinstance(answer, Exchange)]
    if root.media_type == "text/html" and root.ok:
        return "web"
    if is_json(root) or any(map(is_json, others)):
        return "api"
    return "web" if any(answer.media_type == "text/html" for answer in (root, *others)) else "api"


def is_json(answer: Exchange) -> bool:
    return answer.media_type == "application/json" or answer.media_type.endswith("+json")


async def _together(**questions: Any) -> dict[str, Any]:
    return dict(zip(questions, await asyncio.gather(*questions.values()), strict=True))


def _unknown(canary: str) -> str:
    return f"/{canary}-{secrets.token_hex(4)}"
