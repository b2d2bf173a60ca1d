"""Everything that can go wrong, by name.

ReadinessError
├── ConfigError      bad input from the user: exit 2, nothing was contacted
├── PackError        a check pack that cannot be loaded: exit 4
├── ProbeError       a configured system could not be read: its checks become `error`
├── BudgetSpent      the audit may send nothing more: no fault of the system, which must not be blamed for it
└── FactMissing      a check touched a fact that the system refused or did not send: `error`
"""

from __future__ import annotations


class ReadinessError(Exception):
    """Base of every error that readiness raises on purpose."""


class ConfigError(ReadinessError):
    """Input that cannot be used. `place` is a file and line, a flag, or empty."""

    def __init__(self, message: str, *, place: str = "", hint: str = "") -> None:
        self.message = message
        self.place = place
        self.hint = hint
        super().__init__(": ".join(part for part in (place, message) if part) + (f" ({hint})" if hint else ""))


class PackError(ReadinessError):
    """A pack of checks that cannot be loaded; the message names the file and the reason."""


class ProbeError(ReadinessError):
    """A probe could not do its work; `reason` is one sentence without credentials."""

    def __init__(self, reason: str, *, privilege: str | None = None) -> None:
        self.reason = reason
        self.privilege = privilege
        super().__init__(reason)


class BudgetSpent(ReadinessError):
    """No request is left. Not a `ProbeError`, which many take for a system that does not answer."""

    def __init__(self, requests: int) -> None:
        self.reason = f"this audit's {requests} requests are spent; limits.requests sets their number"
        super().__init__(self.reason)


class FactMissing(ReadinessError):
    """A fact that is absent was read; `fact` is its dotted name, `reason` says why it is absent."""

    def __init__(self, fact: str, reason: str, privilege: str | None = None) -> None:
        self.fact = fact
        self.reason = reason
        self.privilege = privilege
        super().__init__(f"{fact}: {reason}" + (f" (needs {privilege})" if privilege else ""))
