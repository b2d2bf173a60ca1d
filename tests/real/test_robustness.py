"""The robustness probe against real servers, and against ones that fall over, lie down or listen for ever."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from readiness.errors import ProbeError
from readiness.facts.robustness import RobustnessFacts
from readiness.model import Finding, Status
from readiness.settings import Settings

from .nginx import PROGRAM, nginx
from .service_servers import CANARY, collect, findings, serving

pytestmark = pytest.mark.real
IDS = ("recovery", "invalid_request", "url_length", "slow_client")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def asked(url: str, **http: object) -> tuple[RobustnessFacts, Mapping[str, Finding]]:
    settings = Settings.model_validate({"http": {"url": url, **http}})
    facts = collect(settings, RobustnessFacts)
    found = facts[RobustnessFacts]
    assert isinstance(found, RobustnessFacts)
    assert RobustnessFacts.from_json(found.to_json()) == found
    from readiness.facts.exchange import Exchange
    from readiness.facts.http import HttpFacts

    root = Exchange(method="GET", url=url, status=200)
    judged = findings(settings, {**facts, HttpFacts: HttpFacts(base=url, root=root)}, "error_handling.")
    return found, {id: judged[f"error_handling.{id}"] for id in IDS}


@contextlib.contextmanager
def listening(serve: Serve) -> Iterator[str]:
    """A server of raw sockets, in a thread with its own loop."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                with contextlib.suppress(OSError, asyncio.LimitOverrunError, asyncio.IncompleteReadError):
                    await serve(reader, writer)
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(quietly, sock=listener, limit=1 << 20)
        started.set()
        await stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.05)

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    started.wait(5)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


async def answer(writer: asyncio.StreamWriter, status: str = "200 OK") -> None:
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())
    await writer.drain()


def test_a_sound_service_refuses_and_goes_on() -> None:
    requests: list[tuple[str, str]] = []

    async def home(request: Request) -> Response:
        requests.append((request.method, request.url.path))
        return JSONResponse({})

    with serving(Starlette(routes=[Route("/", home), Route("/{path:path}", home)])) as url:
        began = time.monotonic()
        facts, found = asked(url)
        assert time.monotonic() - began < 5
    assert {id: each.status for id, each in found.items()} == {
        "recovery": Status.PASS,
        "invalid_request": Status.PASS,
        "url_length": Status.PASS,
        "slow_client": Status.UNTESTED,
    }
    assert facts.sent == 4
    # Nothing but the root and invented paths was asked for, and nothing but GET reached a handler.
    assert {method for method, _ in requests} == {"GET"}
    assert all(path == "/" or path.startswith(f"/{CANARY}") for _, path in requests)


def test_a_service_that_dies_of_a_long_path_is_caught() -> None:
    dead = threading.Event()

    async def fragile(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if dead.is_set():
            return
        head = await reader.readuntil(b"\r\n\r\n")
        if len(head) > 10_000:
            dead.set()
            return
        await answer(writer)

    with listening(fragile) as url:
        facts, found = asked(url)
    assert facts.attempts == 3
    assert found["recovery"].status is Status.FAIL
    assert "no answer any more" in found["recovery"].message


def test_a_service_that_is_restarted_is_a_warning() -> None:
    refuse = {"left": 0}

    async def restarted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"Content-Length: readiness" in head:
            refuse["left"] = 1
            return
        if head.startswith(b"GET / ") and refuse["left"]:
            refuse["left"] -= 1
            return
        await answer(writer)

    with listening(restarted) as url:
        facts, found = asked(url)
    assert facts.attempts == 2
    assert found["recovery"].status is Status.WARN


def test_a_service_that_answers_nonsense_with_500_or_200_is_told() -> None:
    async def server_error(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await answer(writer, "500 Oops" if b"Content-Length: readiness" in head or len(head) > 9999 else "200 OK")

    with listening(server_error) as url:
        _, found = asked(url)
    assert found["invalid_request"].status is Status.FAIL
    assert found["url_length"].status is Status.FAIL
    assert found["recovery"].status is Status.PASS


@pytest.mark.skipif(PROGRAM is None, reason="nginx is not installed")
def test_nginx_refuses_what_is_broken_on_the_wire() -> None:
    with nginx() as url:
        facts, found = asked(url)
    assert facts.unknown == 404
    assert [request.status for request in facts.broken] == [400, 400]
    assert found["invalid_request"].status is Status.PASS


def test_a_server_that_does_not_look_accepts_what_is_broken() -> None:
    """Python's own: its 404 is that of the path, and for a path that exists it would be 200."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        facts, found = asked(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert facts.unknown == 404
    assert found["invalid_request"].status is Status.WARN
    assert "is accepted: 404" in found["invalid_request"].message


@pytest.mark.parametrize("cuts", [True, False])
def test_a_slow_client_is_cut_off_or_not(cuts: bool) -> None:
    async def patient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(1.2 if cuts else 30):
                await reader.readuntil(b"\r\n\r\n")
        except TimeoutError:
            await answer(writer, "408 Request Timeout")
            return
        await answer(writer)

    with listening(patient) as url:
        facts, found = asked(url, slow_client_seconds=3)
    finding = found["slow_client"]
    assert finding.status is (Status.PASS if cuts else Status.WARN), finding
    assert facts.slow.closed is cuts
    assert ("answered 408" in finding.message) is cuts


def test_a_service_that_says_nothing_is_an_error_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    with listening(silent) as url:
        settings = Settings.model_validate({"http": {"url": url}, "limits": {"request_seconds": 0.5}})
        with pytest.raises(ProbeError, match="no complete answer"):
            collect(settings, RobustnessFacts)
