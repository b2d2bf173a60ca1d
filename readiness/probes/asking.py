"""Requests within a budget, four at a time, that wait where the service asks for it, and stop where it had enough."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from readiness.api import ProbeError, absent
from readiness.errors import BudgetSpent
from readiness.facts.base import Absent
from readiness.facts.exchange import Exchange
from readiness.headers import cookies
from readiness.probes.fetch import PARALLEL, Fetcher

Answer = Exchange | Absent


class Asker:
    """Sends requests within the budget, four at a time. What fails becomes an absent fact with the reason.

    After a 429 that no patience ends, or three plain requests in a row that end in a server error, it sends nothing
    more. `refusal` is that 429.
    """

    def __init__(self, fetch: Fetcher, budget: int, *, stop: str = "") -> None:
        self.fetch = fetch
        self.budget = budget
        self.sent = 0
        self.closed: list[str] = []
        self.refusal: Exchange | None = None
        self._slots = asyncio.Semaphore(PARALLEL)
        self._failing = 0
        self._stop = stop

    @property
    def limited(self) -> Answer:
        """The first 429, whether the service had more patience later or not."""
        seen = self.fetch.limited
        return _masked(seen) if seen is not None else missing("the service did not answer 429")

    @property
    def left(self) -> int:
        return 0 if self._stop else self.budget - self.sent

    async def __call__(self, name: str, method: str, path: str, *, broken: bool = False, **more: Any) -> Answer:
        """`name` is the field that this is for. A `broken` request, or one for an unknown path, may end in a 5xx."""
        async with self._slots:
            for last in (False, True):
                if self.sent >= self.budget:
                    self._stop = self._stop or f"the budget of {self.budget} requests is used up"
                if self._stop:
                    return missing(f"not asked: {self._stop}")
                self.sent += 1
                try:
                    answer = await self.fetch.request(method, path, **more)
                except ProbeError as error:
                    # A kept connection may have been closed at this very moment, so once more.
                    if not _disconnected(error):
                        return missing(error.reason)
                    if last:
                        self.closed.append(name)
                        return missing(error.reason)
                except BudgetSpent as error:
                    return missing(error.reason)
                except (httpx.InvalidURL, ValueError):
                    return missing(f"{method} {path[:80]}: not a URL")
                else:
                    return self._noted(_masked(answer), broken)
            raise AssertionError("unreachable")

    def _noted(self, answer: Exchange, broken: bool) -> Answer:
        if answer.status == 429:  # an answer to how often we ask, not to what
            self._stop = "the service answered 429 Too Many Requests"
            self.refusal = answer
            return missing(self._stop)
        if not broken:
            self._failing = self._failing + 1 if answer.status >= 500 else 0
            if self._failing >= 3:
                self._stop = "three answers in a row were server errors"
        return answer


def missing(reason: str) -> Absent:
    """An absent answer with its reason."""
    made = absent(reason)
    assert isinstance(made, Absent)
    return made


def shown(path: str) -> str:
    """A full URL as the path that it names."""
    return httpx.URL(path).path if path.startswith("http") else path


def _disconnected(error: ProbeError) -> bool:
    cause = error.__context__
    return isinstance(cause, (httpx.ReadError, httpx.WriteError)) or (
        isinstance(cause, httpx.RemoteProtocolError) and "disconnected" in str(cause)
    )


def _masked(answer: Exchange) -> Exchange:
    """The same without the values of cookies: they may be somebody's session."""
    headers = tuple(
        (name, cookies.mask(value) if name.lower() == "set-cookie" else value) for name, value in answer.headers
    )
    return answer.model_copy(update={"headers": headers})
