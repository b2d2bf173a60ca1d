"""A host name that leads somewhere else with every look at it: all of an audit goes where the first look led."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from readiness import loader
from readiness.budget import Budget
from readiness.collect import collect, plan
from readiness.errors import ProbeError
from readiness.names import Names
from readiness.probes.dialing import Pinned, open_connection
from readiness.probes.fetch import fetcher
from readiness.settings import HttpSettings, Limits, Settings
from readiness.spec import Context
from readiness.window import Window

from .recording import recording

REGISTRY = loader.load()
NAME = "shop.test"


@contextlib.contextmanager
def names(monkeypatch: pytest.MonkeyPatch, answers: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """The name server answers so, one after the other and the last for ever; yields the names that were looked up."""
    looked: list[str] = []
    real = socket.getaddrinfo

    def answer(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host not in (NAME, NAME.encode()):
            return real(host, port, *args, **more)
        given = answers[min(len(looked), len(answers) - 1)]
        looked.append(NAME)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0)) for address in given]

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", answer)
        yield looked


def context(requests: int = 400) -> Context:
    return Context(Window(0, 1), Limits(), "readiness/test", "rdy-0123", Budget(requests))


def test_a_whole_audit_goes_where_the_first_look_led(monkeypatch: pytest.MonkeyPatch) -> None:
    with recording("127.0.0.1") as first, recording("127.0.0.2", first.server_port) as other:
        settings = Settings.model_validate(
            {"http": {"url": f"http://{NAME}:{first.server_port}/"}, "limits": {"window_seconds": 0.5}}
        )
        planned = plan(REGISTRY.checks.values(), REGISTRY.probes)
        with names(monkeypatch, [["127.0.0.1"], ["127.0.0.2"]]):
            run = collect(planned, settings, lambda *_: None)
        assert len([each for each in run.collected.values() if each.facts is not None]) >= 5
        # Probes that begin at the same moment look at the same time; what one of them saw first holds for all.
        asked, unasked = sorted((first.asked, other.asked), key=len, reverse=True)
        assert len(asked) > 60, "the light load among them"
        assert {each.partition(" ")[0] for each in asked} == {f"{NAME}:{first.server_port}"}
        assert not unasked


@pytest.mark.parametrize("dead", [1, 3])
def test_addresses_where_nobody_answers_are_passed_over(monkeypatch: pytest.MonkeyPatch, dead: int) -> None:
    async def ask(port: int) -> list[int]:
        settings = HttpSettings.model_validate({"url": f"http://{NAME}:{port}/"})
        here = context()
        async with fetcher(settings, here, fresh=True) as fetch:
            statuses = [(await fetch.request("GET", "/")).status for _ in range(2)]
        assert (await here.names.addresses(NAME))[0] == "127.0.0.1", "which is tried first from then on"
        return statuses

    with (
        recording("127.0.0.1") as server,
        names(monkeypatch, [[*(f"127.0.9.{n}" for n in range(1, dead + 1)), "127.0.0.1"]]) as looked,
    ):
        assert asyncio.run(ask(server.server_port)) == [200, 200]
    assert len(looked) == 1


def test_a_name_that_nobody_knows_is_named() -> None:
    async def ask() -> None:
        async with fetcher(HttpSettings.model_validate({"url": "http://no-such-name.invalid/"}), context()) as fetch:
            await fetch.request("GET", "/")

    with pytest.raises(ProbeError, match="could not connect"):
        asyncio.run(ask())


@pytest.mark.parametrize("certified", [True, False])
def test_tls_is_spoken_with_the_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, certified: bool) -> None:
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(NAME if certified else "127.0.0.1").configure_cert(tls)
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)

    async def ask(port: int) -> None:
        known = Names()
        async with httpx.AsyncClient(transport=Pinned(known, lambda: trusted), trust_env=False) as client:
            assert (await client.get(f"https://{NAME}:{port}/")).status_code == 200
        _, writer = await open_connection(known, NAME, port, tls=trusted)
        writer.transport.abort()

    with recording("127.0.0.1", tls=tls) as server, names(monkeypatch, [["127.0.0.1"], ["127.0.0.2"]]):
        if certified:
            asyncio.run(ask(server.server_port))
        else:
            with pytest.raises(httpx.ConnectError, match="certificate"):
                asyncio.run(ask(server.server_port))
        assert set(server.names) == {NAME}
