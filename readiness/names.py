"""Every host name is looked up once an audit: one that changes its address meanwhile must not lead it elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading


class Names:
    """The addresses of hosts, shared by probes in several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, ...]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The addresses of a host, the one to try first in front; an IP address is its own.

        Raises:
            OSError: the name is unknown, or no name at all.
        """
        with contextlib.suppress(ValueError):
            return (str(ipaddress.ip_address(host)),)
        with self._lock:
            known = self._known.get(host)
        if known is None:
            try:
                found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except UnicodeError:
                raise OSError("not a host name") from None
            with self._lock:  # of two probes that looked, both go where the first one was sent
                known = self._known.setdefault(host, tuple(dict.fromkeys(str(entry[4][0]) for entry in found)))
        if not known:
            raise OSError("the name has no address")
        return known

    def answers(self, host: str, address: str) -> None:
        """Notes that this address of the host took a connection: it is tried first from now on."""
        with self._lock:
            known = self._known.get(host, ())
            if address in known[1:]:
                self._known[host] = (address, *(each for each in known if each != address))
