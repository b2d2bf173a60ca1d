"""Whether the audited service uses the audited cache, as its counters tell while requests are sent to the service."""

from __future__ import annotations

from readiness.facts.base import ABSENT, Fact, Facts


class Signal(Facts):
    """How one of the server's counters answered to requests. All but `background` are counts a request.

    `background` is what it counted a second while no request was sent, `extra` what it counted beyond that while they
    were, `sigma` the standard deviation of `extra`, from the spread of the background and of the rounds.
    """

    name: str
    background: float
    extra: float
    sigma: float
    rounds: tuple[float, ...] = ()


class CacheUseFacts(Facts):
    """Bursts of GET to `paths` between quiet phases, and the cache's counters meanwhile.

    `asked` is false where there was no service to ask, or no lookup to expect.
    `requests` were answered successfully inside the bursts, `sent` are all of them, and `by_proxy` those answers that
    came out of an HTTP cache in front of the service. `declared` says that the paths were configured. `nodes` counts
    the cache's servers that were read. The signals are absent where no request was answered. `lookups` counts keys
    looked up, `hits` those found; `commands` are calls of every reading command that was seen, clearest signal first.
    """

    asked: bool = True
    paths: tuple[str, ...] = ()
    declared: bool = False
    requests: int = 0
    sent: int = 0
    by_proxy: int = 0
    nodes: int = 0
    seconds: Fact[float] = ABSENT
    lookups: Fact[Signal] = ABSENT
    hits: Fact[Signal] = ABSENT
    commands: Fact[tuple[Signal, ...]] = ABSENT
