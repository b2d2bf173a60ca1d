"""Where an address lies, and which announced ones may be contacted: a server must not send the audit just anywhere."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Literal

from readiness.settings import Limits

Kind = Literal["loopback", "private", "public", "special"]

_RANK: dict[Kind, int] = {"loopback": 0, "private": 1, "public": 2, "special": 3}


def kind(text: str) -> Kind:
    """Loopback, private (whatever the Internet does not route), public, or special: an address that no server has.

    Raises:
        ValueError: not an IP address.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback:
        return "loopback"
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return "special"
    if address.is_reserved and not address.is_global:
        return "special"
    return "public" if address.is_global else "private"


def widest(addresses: Iterable[str]) -> Kind:
    """The least local kind among addresses; `special` where there are none, or one is not an IP address."""
    try:
        return max((kind(address) for address in addresses), key=_RANK.__getitem__, default="special")
    except ValueError:
        return "special"


def refusal(limits: Limits, name: str, announced: str, configured: Iterable[str]) -> str:
    """Why an announced server is not contacted, or an empty string.

    Args:
        name: its HOST:PORT, as announced.
        announced: the kind of its address.
        configured: the kinds of the addresses that the configuration names.
    """
    if announced == "special":
        return "no server has such an address"
    match limits.follow_announced:
        case "never":
            return "limits.follow_announced is never"
        case "listed":
            return "" if name in limits.listed else "it is not under limits.listed"
        case _:
            same = announced in configured
            return "" if same else f"its network ({announced}) is not that of the configured address"
