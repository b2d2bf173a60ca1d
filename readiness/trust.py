"""One TLS context for all single requests of an audit: reading the system's trust store costs 20 ms of CPU a time."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path


@cache
def system() -> ssl.SSLContext:
    """The context for whom this system trusts; many audits of one process share it."""
    return ssl.create_default_context()


class Trust:
    """TLS contexts by CA file, each made once and shared by probes in several threads, none of which changes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Path, ssl.SSLContext] = {}

    def context(self, ca_file: Path | None, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """The context for a CA file, or the system's store; `make`, which may raise, is called where there is none."""
        if ca_file is None:
            return system()
        with self._lock:
            if ca_file not in self._made:
                self._made[ca_file] = make()
            return self._made[ca_file]
