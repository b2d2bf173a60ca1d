"""About twenty ordinary GETs, each on a connection of its own: what is sent, how it is cached, and who answers."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from readiness.api import Context, HttpSettings, ProbeError, absent, probe
from readiness.errors import BudgetSpent
from readiness.facts.base import Absent
from readiness.facts.delivery import DeliveryFacts, Payload, Reply, Resource
from readiness.facts.exchange import Exchange
from readiness.names import Names
from readiness.probes import delivery_page
from readiness.probes.delivery_ask import IDENTITY, Answer, Asker
from readiness.probes.dialing import host_of, open_connection
from readiness.probes.fetch import fetcher, tls_context

MOST_ENDPOINTS, MOST_COMPRESSED, MOST_REVALIDATED = 3, 4, 3
INSTANCE_ANSWERS = 12
WORTH_COMPRESSING = 1400
"""Bytes below which compression does not pay: such an answer fits into one packet."""
COMPRESSED = {"Accept-Encoding": "br, gzip, zstd"}
PAGE = {**IDENTITY, "Accept": "text/html,application/json;q=0.9,*/*;q=0.8"}
JSON = {**IDENTITY, "Accept": "application/json"}
KEPT_HEADERS = frozenset({
    "age", "akamai-cache-status", "akamai-grn", "alt-svc", "cache-control", "cache-status", "cdn-cache", "cdn-pullzone",
    "cf-cache-status", "cf-ray", "connection", "content-encoding", "content-type", "etag", "expires", "fly-request-id",
    "keep-alive", "last-modified", "link", "server", "server-timing", "vary", "via", "x-akamai-request-id",
    "x-amz-cf-id", "x-amz-cf-pop", "x-azure-ref", "x-cache", "x-cache-hits", "x-cache-status", "x-cdn",
    "x-edge-location", "x-fastly-request-id", "x-nf-request-id", "x-proxy-cache", "x-served-by", "x-total-count",
    "x-varnish", "x-vercel-cache", "x-vercel-id",
})  # fmt: skip
_TEXT = re.compile(r"text/|application/([a-z0-9.+-]*[+])?(json|xml|javascript|x-javascript|manifest)|image/svg")


@dataclass(slots=True)
class _Target:
    """One thing asked for, and its answers so far."""

    kind: str
    path: str
    plain: Answer
    compressed: Answer | None = None
    revalidated: Answer | None = None
    hashed: bool = False

    @property
    def exchange(self) -> Exchange | None:
        """The plain answer, where it was successful."""
        return self.plain if isinstance(self.plain, Exchange) and self.plain.status == 200 else None


@probe(needs="http.url")
async def delivery(http: HttpSettings, context: Context) -> DeliveryFacts:
    """Asks for the page, some of its assets and some endpoints, then varies and repeats these requests."""
    assert http.url is not None  # the engine runs no probe whose key is missing
    async with fetcher(http, context, fresh=True) as fetch:
        asker = Asker(fetch)
        page, endpoints, alpn, addresses = await asyncio.gather(
            _page(asker, http.url), _endpoints(asker, http), _alpn(http, context), _addresses(http.url, context.names)
        )
        if isinstance(page.plain, Absent) and not any(isinstance(each.plain, Exchange) for each in endpoints):
            raise ProbeError(page.plain.reason)
        answer = page.exchange
        html = answer is not None and answer.media_type in ("text/html", "application/xhtml+xml")
        own, foreign = delivery_page.assets(answer.body, answer.url) if answer and html else ([], {})
        targets = [page, *await _assets(asker, own, answer), *endpoints]
        await _vary(asker, targets)
        repeatable = next((each.exchange for each in [*targets[1:], page] if each.exchange), None)
        repeated = await asker.ask(repeatable.url, repeatable.sent) if repeatable else Absent("no successful answer")
        await _instances(asker, http, targets)
    return DeliveryFacts(
        url=http.url,
        page=html if isinstance(page.plain, Exchange) and page.plain.status < 500 else _refusal(page),
        media_type="" if isinstance(page.plain, Absent) else page.plain.media_type,
        resources=tuple(map(_resource, targets)),
        assets=len(own),
        foreign=dict(Counter(foreign).most_common(20)),
        repeated=_reply(repeated),
        payloads=tuple(_payloads(targets)),
        answers=asker.answers,
        instances={source: tuple(sorted(names)) for source, names in sorted(asker.instances.items())},
        balancers=tuple(sorted(asker.balancers)),
        addresses=addresses,
        alpn=alpn,
        requests=asker.sent,
    )


# What is asked for.


async def _page(asker: Asker, url: str) -> _Target:
    """The answer at the base URL, or where its redirects inside the origin lead."""
    answer = await asker.ask(url, PAGE, keep=delivery_page.MOST_JSON)
    for _ in range(asker.redirects):
        if not isinstance(answer, Exchange) or not 300 <= answer.status < 400:
            break
        try:
            target = urlsplit(urljoin(answer.url, answer.header("location") or ""))._replace(fragment="")
        except ValueError:
            break
        if (target.scheme, target.netloc) != urlsplit(url)[:2] or target.geturl() == answer.url:
            break
        answer = await asker.ask(target.geturl(), PAGE, keep=delivery_page.MOST_JSON)
    return _Target("page", _relative(answer.url) if isinstance(answer, Exchange) else "/", answer)


async def _endpoints(asker: Asker, http: HttpSettings) -> list[_Target]:
    paths = http.endpoints[:MOST_ENDPOINTS]
    answers = await asyncio.gather(*(asker.ask(path, JSON, keep=delivery_page.MOST_JSON) for path in paths))
    return [_Target("endpoint", path, answer) for path, answer in zip(paths, answers, strict=True)]


async def _assets(asker: Asker, own: Sequence[delivery_page.Asset], page: Exchange | None) -> list[_Target]:
    """The first script and the first style sheet of the page, or else its first image."""
    script = next((asset for asset in own if asset.text and ".css" not in asset.path), None)
    style = next((asset for asset in own if asset.text and ".css" in asset.path), None)
    chosen = [asset for asset in (script, style) if asset] or list(own[:1])
    if page is None or not chosen:
        return []
    answers = await asyncio.gather(*(asker.ask(urljoin(page.url, asset.path)) for asset in chosen))
    return [
        _Target("asset", asset.path, answer, hashed=asset.hashed) for asset, answer in zip(chosen, answers, strict=True)
    ]


async def _vary(asker: Asker, targets: Sequence[_Target]) -> None:
    """Asks again with compression, and again with the validator that came, where there is something to compare."""
    text = [each for each in targets if each.exchange and _worth_compressing(each.exchange)][:MOST_COMPRESSED]
    known = [each for each in targets if each.exchange and _condition(each.exchange)][:MOST_REVALIDATED]

    async def compress(target: _Target, answer: Exchange) -> None:
        target.compressed = await asker.ask(answer.url, {**answer.sent, **COMPRESSED})

    async def revalidate(target: _Target, answer: Exchange) -> None:
        target.revalidated = await asker.ask(answer.url, {**answer.sent, **_condition(answer)})

    await asyncio.gather(
        *(compress(each, each.exchange) for each in text if each.exchange),
        *(revalidate(each, each.exchange) for each in known if each.exchange),
    )


def _worth_compressing(answer: Exchange) -> bool:
    return _TEXT.match(answer.media_type) is not None and answer.size > WORTH_COMPRESSING


def _condition(answer: Exchange) -> Mapping[str, str]:
    if (etag := answer.header("etag")) and etag.isascii():
        return {"If-None-Match": etag}
    if (modified := answer.header("last-modified")) and modified.isascii():
        return {"If-Modified-Since": modified}
    return {}


async def _instances(asker: Asker, http: HttpSettings, targets: Sequence[_Target]) -> None:
    """Asks on until two instances have answered, or enough answers named the same one."""
    if asker.instances:
        known = next((each.exchange for each in targets if each.exchange), None)
        path, headers, asked = (known.url, known.sent, asker.answers) if known else ("", JSON, 0)
    else:
        path, headers, asked = http.health or "/health", JSON, 0
        path = path if path.startswith("/") else ""
    while path and asked < INSTANCE_ANSWERS and not asker.several:
        answer = await asker.ask(path, headers, keep=delivery_page.MOST_JSON)
        asked += 1
        if not isinstance(answer, Exchange):
            return
        for name, value in delivery_page.instance_fields(delivery_page.parse(answer.body)).items():
            asker.saw(f"health {name}", value)
        if not asker.instances:
            return


async def _alpn(http: HttpSettings, context: Context) -> Any:
    """The protocol that TLS chooses when HTTP/2 is offered."""
    url = httpx.URL(http.url or "")
    if url.scheme != "https":
        return absent("plain HTTP")
    tls = tls_context(http)
    tls.set_alpn_protocols(["h2", "http/1.1"])
    try:
        async with asyncio.timeout(context.limits.request_seconds):
            context.budget.take()
            _, writer = await open_connection(context.names, host_of(url), url.port or 443, tls=tls)
    except BudgetSpent as error:
        return absent(error.reason)
    except OSError as error:
        return absent(f"no TLS connection ({type(error).__name__})")
    chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
    writer.transport.abort()
    return chosen or ""


async def _addresses(url: str, names: Names) -> Any:
    """How many addresses of one family the host has."""
    try:
        found = await names.addresses(host_of(url))
    except OSError:
        return absent("the name could not be resolved")
    return max(Counter(":" in address for address in found).values())


# What is kept.


def _resource(target: _Target) -> Resource:
    return Resource(
        kind=target.kind,
        path=target.path,
        status=target.plain.status if isinstance(target.plain, Exchange) else target.plain,
        plain=_reply(target.exchange or _refusal(target)),
        compressed=_reply(target.compressed),
        revalidated=_reply(target.revalidated),
        hashed=target.hashed,
    )


def _refusal(target: _Target) -> Absent:
    if isinstance(target.plain, Exchange):
        return Absent(f"GET {target.path} answered {target.plain.status}")
    return target.plain


def _reply(answer: Answer | None) -> Any:
    if not isinstance(answer, Exchange):
        return answer
    headers: dict[str, str] = {}
    for name, value in answer.headers:
        lower = name.lower()
        if lower in KEPT_HEADERS:
            headers[lower] = f"{headers[lower]}, {value}"[:1000] if lower in headers else value[:1000]
    return Reply(path=_relative(answer.url), sent=answer.sent, status=answer.status, headers=headers, size=answer.size)


def _payloads(targets: Sequence[_Target]) -> Iterator[Payload]:
    for target in targets:
        if target.kind == "asset" or target.exchange is None:
            continue
        answer = target.exchange
        json_like = "json" in answer.media_type
        document = None if answer.truncated or not json_like else delivery_page.parse(answer.body)
        items, paged = delivery_page.longest_list(document)
        why = "no list" if document is not None else "no JSON, or longer than what is parsed"
        yield Payload(
            path=target.path,
            size=answer.size,
            items=absent(why) if items is None else items,
            paged=paged or bool(answer.header("link") or answer.header("x-total-count")),
        )


def _relative(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
