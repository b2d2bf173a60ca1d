"""What Sentinels know: asked at redis.url, at the addresses given, or at those of the data node's own clients."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from readiness.errors import ProbeError
from readiness.facts.base import Absent, absent, maybe
from readiness.facts.redis import Master, Network
from readiness.probes.redis_aside import permitted
from readiness.probes.redis_client import Client, Target, connect
from readiness.probes.redis_protocol import Refused
from readiness.probes.redis_replies import masters_of, quorum_of

DEFAULT_PORT = 26379


async def masters_at(client: Client) -> Any:
    """Every primary that this Sentinel watches, with its quorum, or the absent fact that a refusal amounts to."""
    masters = masters_of(await client.ask("SENTINEL", "MASTERS"))
    if isinstance(masters, Absent):
        return masters
    answers = await client.pipeline([("SENTINEL", "CKQUORUM", master.name) for master in masters])
    return tuple(
        master.model_copy(update={"quorum_ok": quorum_of(answer), "seen_by": client.target.shown})
        for master, answer in zip(masters, answers, strict=True)
    )


async def watching(target: Target, network: Network, given: Sequence[str], clients: Any) -> Any:
    """How the Sentinels see this server: those given, or those among its clients, on Sentinel's default port."""
    places = [_given(target, address) for address in given[: target.limits.sentinels]]
    if not given and not isinstance(clients, Absent):
        hosts = sorted({group.host for group in clients.groups if group.kind == "sentinel"})
        found = [permitted(target, network, f"{host}:{DEFAULT_PORT}") for host in hosts[: target.limits.sentinels]]
        places = [place for place in found if isinstance(place, Target)]
    if not places:
        return absent("no Sentinel to ask: set redis.sentinels")
    answers = await asyncio.gather(*(_ask(place) for place in places))
    heard = [answer for answer in answers if not isinstance(answer, Absent)]
    if not heard:
        return answers[0]
    masters = tuple(master for answer in heard for master in answer if _is(master, target))
    return masters or absent("the Sentinels that were asked watch other primaries")


def _given(target: Target, address: str) -> Target:
    host, _, port = address.rpartition(":")
    return replace(target, path="", host=host.strip("[]"), port=int(port))


async def _ask(place: Target) -> Any:
    """The masters of one Sentinel. It gets the credentials of redis.url only where it asks for some."""
    try:
        client = await connect(place, anonymously=True)
        try:
            answer = await client.ask("PING")
            if isinstance(answer, Refused) and answer.code == "NOAUTH":
                await client.login()
            return await masters_at(client)
        finally:
            await client.close()
    except ProbeError as error:
        return absent(f"the Sentinel could not be asked ({error.reason})", error.privilege)


def _is(master: Master, target: Target) -> bool:
    """Whether that is the server at `target`; two IP addresses must be equal, a name may stand for any."""
    host, _, port = (maybe(lambda: master.address) or "").rpartition(":")
    if port != str(target.port):
        return False
    try:
        return ipaddress.ip_address(host) == ipaddress.ip_address(target.host)
    except ValueError:
        return True


def primary_behind(target: Target, network: Network, masters: Any) -> Target | None:
    """The server to read instead of a Sentinel: the only primary that it watches, if it may be contacted."""
    if isinstance(masters, Absent) or len(masters) != 1:
        return None
    address = maybe(lambda: masters[0].address)
    place = permitted(target, network, address) if address else None
    return place if isinstance(place, Target) else None
