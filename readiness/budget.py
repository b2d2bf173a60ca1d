"""How many HTTP requests one audit may send, over all of its probes."""

from __future__ import annotations

import threading

from readiness.errors import BudgetSpent


class Budget:
    """A number of requests that probes in several threads share."""

    def __init__(self, requests: int) -> None:
        self._requests = requests
        self._lock = threading.Lock()
        self.sent = 0

    def take(self, requests: int = 1) -> None:
        """Takes requests out. Raises BudgetSpent, and takes none, where fewer are left."""
        with self._lock:
            if self.sent + requests > self._requests:
                raise BudgetSpent(self._requests)
            self.sent += requests
