"""Harmless attempts to get in: open files, operators and quotes in query values, TRACE, and how often one may ask.

GET and HEAD alone, but for TRACE on a path that the user named in http.writable. Together with the HTTP probe at most
120 requests and 28 more where the base URL has a path, besides what a 429 makes it repeat, and none after one that
does not end.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from readiness.api import Context, HttpSettings, LoadSettings, probe
from readiness.facts.base import Absent
from readiness.facts.exchange import Exchange
from readiness.facts.hardening import Burst, HardeningFacts, Injected, Reply, Trace
from readiness.facts.http import HttpFacts, seen
from readiness.headers import rate_limit
from readiness.probes.asking import Answer, Asker, missing, shown
from readiness.probes.exposed import TARGETS, Place, ask_exposed, origin_above
from readiness.probes.fetch import fetcher

MOST_REQUESTS = 120  # this probe's and those of the HTTP probe
AT_ORIGIN = len(TARGETS) + 1  # besides, where the base URL has a path
MOST_ENDPOINTS, MOST_BURST = 2, 30
JSON = {"Accept": "application/json"}
PARAMETERS = ("q", "search", "name", "category")
"""Asked for at once where an endpoint was named without a query of its own."""
_KEPT_TO_COUNT = 1_000_000
_ROUNDS = 2
_PER_ENDPOINT = 5 * _ROUNDS
_DATABASE_ERRORS = {
    "MySQL": r"You have an error in your SQL syntax|\bpymysql\.err|mysqli?_(?:fetch|query)",
    "PostgreSQL": r"syntax error at or near|unterminated quoted string|\bpsycopg\d?\.|PG::SyntaxError",
    "SQLite": r"\bSQLITE_ERROR\b|sqlite3\.OperationalError|unrecognized token: ",
    "Oracle": r"\bORA-\d{5}",
    "SQL Server": r"Unclosed quotation mark|Incorrect syntax near",
    "SQL": r"SQLSTATE\[\w{5}\]|JDBC\w*Exception",
    "MongoDB": r"unknown operator: \$|MongoServerError|BSONError|CastError",
}
_ERRORS = {name: re.compile(pattern) for name, pattern in _DATABASE_ERRORS.items()}


@probe(needs="http.url")
async def probe_hardening(
    settings: HttpSettings, load: LoadSettings, http: HttpFacts, context: Context
) -> HardeningFacts:
    """What the HTTP probe learned of unknown paths is what every answer here is held against."""
    unknown = [
        answer
        for name in ("not_found", "not_found_html", "not_found_api", "not_found_file")
        if (answer := seen(http, name)) is not None
    ]
    assert settings.url is not None
    above, below = origin_above(settings.url), urlsplit(settings.url).path.rstrip("/")
    async with fetcher(settings, context) as fetch:
        stop = "the service answered 429 Too Many Requests" if context.pace.given_up else ""
        # The origin has a share of its own: what is asked there takes nothing from what is asked of the service.
        ask = Asker(fetch, max(0, MOST_REQUESTS - http.requests) + (AT_ORIGIN if above else 0), stop=stop)
        room = ask.left - len(TARGETS) - 2 - (AT_ORIGIN if above else 0)  # security.txt and TRACE
        endpoints = settings.endpoints[: max(0, min(MOST_ENDPOINTS, room // _PER_ENDPOINT))]
        nowhere = await _nowhere(ask, above, context.canary) if above else missing("the service is the origin")
        at_origin = [Place(above, "", [nowhere] if isinstance(nowhere, Exchange) else [])] if above else []
        exposed, traced, security_txt, *injected = await asyncio.gather(
            ask_exposed(ask, [*at_origin, Place("", below, unknown)]),
            _traced(ask, settings, context.canary),
            ask("security_txt", "GET", f"{above}/.well-known/security.txt", keep=8192, anonymous=True, broken=True),
            *(_injected(ask, path, context.canary) for path in endpoints),
        )
        burst = await _burst(ask, settings, http) if load.allow else None
    return HardeningFacts(
        checked_at=time.time(),
        requests=ask.sent,
        unknown_at_origin=nowhere,
        exposed=exposed,
        injected=tuple(injected),
        traced=traced,
        security_txt=security_txt,
        burst=burst,
    )


async def _nowhere(ask: Asker, origin: str, canary: str) -> Answer:
    """What the origin answers for a path that does not exist."""
    path = f"{origin}/{canary}-{secrets.token_hex(4)}/deep.txt"
    return await ask("unknown_at_origin", "GET", path, anonymous=True, broken=True)


async def _injected(ask: Asker, path: str, canary: str) -> Injected:
    """One request after the other: what changes between two of a kind is the data, not the value."""
    plain, _, query = path.partition("?")
    names = tuple(name for name, _ in parse_qsl(query, keep_blank_values=True))[:4] or PARAMETERS
    values = {"plain": ("", ""), "equal": ("[$eq]", ""), "unequal": ("[$ne]", ""), "quoted": ("", "'"),
              "doubled": ("", "''")}  # fmt: skip
    replies: dict[str, list[Reply]] = {kind: [] for kind in values}
    urls: dict[str, str] = {}
    for _round in range(_ROUNDS):
        for kind, (operator, quotes) in values.items():
            asked = "&".join(f"{quote(name + operator)}={canary}{quote(quotes)}" for name in names)
            urls[kind] = f"{plain}?{asked}"
            answer = await ask("injected", "GET", urls[kind], headers=JSON, keep=_KEPT_TO_COUNT, broken=True)
            replies[kind].append(_reply(answer))
    made = {kind: tuple(kept) for kind, kept in replies.items()}
    return Injected(path=path, url=ask.fetch.url(urls["unequal"]), quoted_url=ask.fetch.url(urls["quoted"]), **made)


def _reply(answer: Answer) -> Reply:
    if isinstance(answer, Absent):
        return Reply(status=answer, rows=answer)
    rows = _rows(answer.parsed())
    error = next((name for name, pattern in _ERRORS.items() if pattern.search(answer.body[:65_536])), "")
    return Reply(
        status=answer.status, rows=missing("no list in the answer") if rows is None else rows, database_error=error
    )


def _rows(body: Any, depth: int = 2) -> int | None:
    """The length of the longest list at the top of the answer, or in an object at most two levels deep."""
    if isinstance(body, list):
        return len(body)
    if not isinstance(body, dict) or depth == 0:
        return None
    lengths = [rows for value in list(body.values())[:50] if (rows := _rows(value, depth - 1)) is not None]
    return max(lengths, default=None)


async def _traced(ask: Asker, settings: HttpSettings, canary: str) -> tuple[Trace, ...]:
    """TRACE is no method for strangers' paths: only what may be written to is asked."""
    traced = []
    for path in settings.writable[:1]:
        headers = {"X-Readiness": f"{canary}-trace"}
        answer = await ask("traced", "TRACE", path, headers=headers, keep=8192, anonymous=True, broken=True)
        echoed = isinstance(answer, Exchange) and f"{canary}-trace" in answer.body
        kept = answer.model_copy(update={"body": ""}) if isinstance(answer, Exchange) else answer
        traced.append(Trace(path=shown(path), answer=kept, echoed=echoed))
    return tuple(traced)


async def _burst(ask: Asker, settings: HttpSettings, http: HttpFacts) -> Burst | None:
    """As many requests as the advertised limit and one more, but no more than thirty; stops at the first refusal."""
    advertised = [
        limit.limit
        for _, answer in http.answers()
        for limit in rate_limit.find(answer.headers, answer.status)
        if limit.limit is not None
    ]
    planned = min([*(limit + 1 for limit in advertised), MOST_BURST, ask.left])
    if planned < 1 or (advertised and min(advertised) >= MOST_BURST):  # a limit that is told and cannot be reached
        return None
    path = settings.endpoints[0] if settings.endpoints else "/"
    statuses: list[int] = []
    refusal: Answer = missing("no request was refused")

    async def one() -> None:
        nonlocal refusal
        if not isinstance(refusal, Absent):
            return
        answer = await ask("burst", "GET", path, headers=JSON, keep=0, patient=False)
        answer = ask.refusal if isinstance(answer, Absent) and ask.refusal is not None else answer
        if isinstance(answer, Exchange):
            statuses.append(answer.status)
            if answer.status in (429, 503) and isinstance(refusal, Absent):
                refusal = answer

    await asyncio.gather(*(one() for _ in range(planned)))
    return Burst(path=path, planned=planned, statuses=tuple(statuses), refusal=refusal)
