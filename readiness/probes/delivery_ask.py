"""GETs that are counted, and what every answer tells of the instance and of the balancer behind the address."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from readiness.api import ProbeError
from readiness.errors import BudgetSpent
from readiness.facts.base import Absent
from readiness.facts.exchange import Exchange
from readiness.probes.fetch import Fetcher

IDENTITY = {"Accept-Encoding": "identity"}
MOST_NAMES = 24
INSTANCE_HEADERS = (
    "x-instance-id", "x-instance", "x-upstream", "x-backend", "x-backend-server", "x-served-by", "x-server-id",
    "x-server-name", "x-hostname", "x-pod", "x-pod-name", "x-container-id",
)  # fmt: skip
NAMING_COOKIES = frozenset({
    "serverid", "srv", "server", "route", "routeid", "arraffinity", "ingresscookie", "sticky", "backend", "lb",
})  # fmt: skip
"""Sticky cookies whose value is the same for the same instance."""
BALANCER_COOKIES = frozenset({"awsalb", "awsalbcors", "awselb", "gclb", *NAMING_COOKIES})
BALANCER_SERVERS = ("awselb", "haproxy", "envoy", "istio-envoy", "traefik")

Answer = Exchange | Absent


class Asker:
    """Sends GETs to one service. After a 429 that no patience ends it sends nothing more.

    `instances` gives, by where they were seen, the names that instances gave themselves; those of cookies are digests.
    """

    def __init__(self, fetch: Fetcher) -> None:
        self._fetch = fetch
        self._limited = False
        self.redirects = fetch.limits.redirects
        self.sent = self.answers = 0
        self.instances: dict[str, set[str]] = {}
        self.balancers: set[str] = set()

    async def ask(self, path: str, headers: Mapping[str, str] = IDENTITY, *, keep: int = 0) -> Answer:
        """The exchange with so many bytes of its body, or an absent fact with the reason."""
        if self._limited:
            return Absent("the service answered 429 before")
        self.sent += 1
        try:
            answer = await self._fetch.request("GET", path, headers=headers, keep=keep)
        except (ProbeError, BudgetSpent) as error:
            return Absent(error.reason)
        except ValueError:
            return Absent("not a usable address")
        self.answers += 1
        self._limited = self._limited or answer.status == 429
        self._look(answer)
        return answer

    def saw(self, source: str, name: str) -> None:
        """An answer named its instance."""
        names = self.instances.setdefault(source, set())
        if len(names) < MOST_NAMES:
            names.add(printable(name))

    @property
    def several(self) -> bool:
        """Whether different instances have answered; different processes may still be one instance."""
        return any(len(names) > 1 for source, names in self.instances.items() if source != "health pid")

    def _look(self, answer: Exchange) -> None:
        for name in INSTANCE_HEADERS:
            value = answer.header(name)
            if value and not (name == "x-served-by" and value.startswith("cache-")):  # Fastly's own machines
                self.saw(name, value)
        for cookie in answer.header_values("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            lower = name.strip().lower().removeprefix("__host-").removeprefix("__secure-")
            if lower in BALANCER_COOKIES:
                self._sign(f"cookie {name.strip()}")
            if lower in NAMING_COOKIES:
                self.saw(f"cookie {printable(name.strip())}", hashlib.sha256(value.encode()).hexdigest()[:12])
        server = (answer.header("server") or "").lower()
        for known in BALANCER_SERVERS:
            if server.startswith(known):
                self._sign(f"server {known}")
        if via := answer.header("via"):
            self._sign(f"via {via}")

    def _sign(self, text: str) -> None:
        if len(self.balancers) < MOST_NAMES:
            self.balancers.add(printable(text))


def printable(text: str) -> str:
    """At most 100 printable characters."""
    return "".join(char for char in text[:100] if char.isprintable())
