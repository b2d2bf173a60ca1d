"""What may hold secrets, on its way to a worker."""

from __future__ import annotations

import pickle
from typing import Any


class Sealed:
    """A value that nothing shows: neither `repr`, nor a log of the executor that carries it, nor its dashboard."""

    __slots__ = ("_data",)

    def __init__(self, value: Any) -> None:
        self._data = pickle.dumps(value)

    def open(self) -> Any:
        """The value, where it is needed."""
        return pickle.loads(self._data)

    def __repr__(self) -> str:
        return f"<sealed, {len(self._data):,} bytes>"
