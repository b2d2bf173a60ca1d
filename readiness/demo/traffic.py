"""python -m readiness.demo.traffic SETTINGS.json: customers, at a steady rate, until stopped.

Requests are due at fixed times, whatever the service does. A run-in comes first: the same mix, as fast as it goes. It
stands for the hours that a real deployment has been up before somebody audits it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import ssl
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict

STEADY = "steady"
"""Printed when the run-in is over."""
_BROWSERS = 8
_REPORT_SECONDS = 2.0
_TIMEOUT_SECONDS = 10.0
_BODY_BYTES = 10_000_000
# How much more often the first of a list is wanted than the second, and so on.
_SKEW = 1.3
_LOGIN_EVERY_SECONDS = 4.0


class TrafficSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    ca_file: str | None = None
    rate: float
    run_in: int
    products: tuple[str, ...]
    users: tuple[str, ...]
    artisans: tuple[str, ...]
    categories: tuple[str, ...]
    words: tuple[str, ...]
    accounts: tuple[tuple[str, str], ...]


class Browser:
    """One connection, one request after the other. Just enough of HTTP/1.1 for the market, at little cost."""

    def __init__(self, url: str, context: ssl.SSLContext | None) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port
        self._context = context
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._free = asyncio.Lock()

    async def request(self, method: str, path: str, *, token: str = "", body: object = None) -> tuple[int, bytes]:
        """Status and body. Raises OSError, TimeoutError or ValueError where no proper answer comes."""
        content = b"" if body is None else json.dumps(body).encode()
        head = [f"{method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}", "Accept-Encoding: gzip"]
        if token:
            head.append(f"Authorization: Bearer {token}")
        if content:
            head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        async with self._free:
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    return await self._exchange("\r\n".join([*head, "", ""]).encode() + content)
            except (OSError, EOFError, TimeoutError, ValueError):
                self._hang_up()
                raise

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        reader, writer = self._streams or await asyncio.open_connection(self._host, self._port, ssl=self._context)
        self._streams = reader, writer
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        length = int(fields["content-length"])
        if length > _BODY_BYTES:
            raise ValueError("an answer of that size is not the market's")
        body = await reader.readexactly(length)
        if fields.get("connection") == "close":
            self._hang_up()
        return int(head[0].split()[1]), body

    def _hang_up(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None


class Favourites:
    """Draws from a list whose first entries are wanted most (Zipf's law)."""

    def __init__(self, entries: Sequence[str], chance: random.Random, skew: float = _SKEW) -> None:
        self._entries = entries
        self._weights = list(itertools.accumulate(1 / rank**skew for rank in range(1, len(entries) + 1)))
        self._chance = chance

    def draw(self) -> str:
        return self._chance.choices(self._entries, cum_weights=self._weights)[0]


Answer = Awaitable[tuple[int, bytes]]


class Customers:
    """What customers do, each act by its share of the requests."""

    def __init__(self, settings: TrafficSettings, browsers: Sequence[Browser]) -> None:
        self._browsers = itertools.cycle(browsers)
        self._accounts = settings.accounts
        self._chance = random.Random(2)
        self._products = Favourites(settings.products, self._chance)
        self._users = Favourites(settings.users, self._chance)
        self._artisans = Favourites(settings.artisans, self._chance)
        self._categories = Favourites(settings.categories, self._chance, 0.5)
        self._pages = Favourites(("1", "2", "3", "4"), self._chance, 1.5)
        self._words = settings.words
        self._tokens: list[str] = []
        self._acts: dict[Callable[[], Answer], int] = {
            self._product: 28,
            self._user: 8,
            self._artisan: 8,
            self._list: 10,
            self._search: 6,
            self._front: 3,
            self._orders: 36,
            self._order: 1,
        }
        self.statuses: Counter[str] = Counter()

    async def act(self) -> None:
        """One request; its outcome is counted, never raised."""
        [what] = self._chance.choices(list(self._acts), weights=list(self._acts.values()))
        await self._counted(what())

    async def log_in(self) -> None:
        """One more customer with a token; the oldest one forgets theirs."""
        email, password = self._chance.choice(self._accounts)
        status, body = await self._counted(
            self._browser().request("POST", "/api/login", body={"email": email, "password": password})
        )
        if status == 200:
            self._tokens = [*self._tokens[-len(self._accounts) :], json.loads(body)["token"]]

    async def _counted(self, answer: Answer) -> tuple[int, bytes]:
        try:
            status, body = await answer
        except (OSError, EOFError, TimeoutError, ValueError, LookupError) as error:
            self.statuses[type(error).__name__] += 1
            return 0, b""
        self.statuses[str(status)] += 1
        return status, body

    def _browser(self) -> Browser:
        # In turn, so that every instance behind the balancer gets its share.
        return next(self._browsers)

    def _get(self, path: str, **query: str) -> Answer:
        return self._browser().request("GET", f"{path}?{urlencode(query)}" if query else path)

    def _product(self) -> Answer:
        return self._get(f"/api/products/{self._products.draw()}")

    def _user(self) -> Answer:
        return self._get(f"/api/users/{self._users.draw()}")

    def _artisan(self) -> Answer:
        return self._get(f"/api/artisans/{self._artisans.draw()}")

    def _list(self) -> Answer:
        return self._get("/api/products", category=self._categories.draw(), page=self._pages.draw())

    def _search(self) -> Answer:
        return self._get("/api/products", q=self._chance.choice(self._words), limit="24")

    def _front(self) -> Answer:
        return self._get("/")

    def _orders(self) -> Answer:
        return self._browser().request("GET", "/api/orders", token=self._token())

    def _order(self) -> Answer:
        order = {"product_id": self._products.draw(), "quantity": self._chance.choice((1, 1, 2))}
        return self._browser().request("POST", "/api/orders", token=self._token(), body=order)

    def _token(self) -> str:
        return self._chance.choice(self._tokens) if self._tokens else ""


async def run(settings: TrafficSettings) -> None:
    """Sends traffic until cancelled."""
    context = ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else None
    customers = Customers(settings, [Browser(settings.url, context) for _ in range(_BROWSERS)])
    for _ in settings.accounts:
        await customers.log_in()
    await _run_in(customers, settings.run_in)
    _say(STEADY, customers)
    await asyncio.gather(_steady(customers, settings.rate), _logins(customers), _reports(customers))


async def _run_in(customers: Customers, count: int) -> None:
    turns = iter(range(count))

    async def one() -> None:
        for _ in turns:
            await customers.act()

    await asyncio.gather(*(one() for _ in range(_BROWSERS)))


async def _steady(customers: Customers, rate: float) -> None:
    began, running = time.monotonic(), set[asyncio.Task[None]]()
    for number in itertools.count():
        await asyncio.sleep(began + number / rate - time.monotonic())
        task = asyncio.create_task(customers.act())
        running.add(task)
        task.add_done_callback(running.discard)


async def _logins(customers: Customers) -> None:
    while True:
        await asyncio.sleep(_LOGIN_EVERY_SECONDS)
        await customers.log_in()


async def _reports(customers: Customers) -> None:
    while True:
        await asyncio.sleep(_REPORT_SECONDS)
        _say("traffic", customers)


def _say(message: str, customers: Customers) -> None:
    print(json.dumps({"msg": message, "answers": dict(customers.statuses)}), flush=True)


if __name__ == "__main__":
    asyncio.run(run(TrafficSettings.model_validate_json(Path(sys.argv[1]).read_text())))
