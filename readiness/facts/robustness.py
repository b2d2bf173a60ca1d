"""How the service takes requests that are broken on the wire, and how it is afterwards."""

from __future__ import annotations

from readiness.facts.base import ABSENT, Fact, Facts
from readiness.facts.exchange import Exchange


class BrokenRequest(Facts):
    """One request that breaks the protocol. `status` is absent where the connection was closed, or nothing came.

    `refused` says that a limit of requests answered, and not what was asked: the status is absent then, too.
    """

    what: str
    status: Fact[int] = ABSENT
    closed: bool = False
    refused: bool = False


class SlowClient(Facts):
    """A connection that sent its headers byte by byte for `seconds`; `status` where it was answered before the end."""

    seconds: float
    closed: bool
    status: Fact[int] = ABSENT


class RobustnessFacts(Facts):
    """An ordinary request, broken ones, and the ordinary one again.

    `sent` counts the broken requests. `unknown` is the status of a well-formed request for a path like theirs, which
    nobody defined: what they get beyond it is due to their form. `long_path_closed` says that the connection was closed
    instead of an answer. `after` is absent where `attempts` requests got no answer. `slow` is absent unless the
    configuration allows it.
    """

    before: Fact[Exchange] = ABSENT
    long_path: Fact[Exchange] = ABSENT
    long_path_closed: bool = False
    unknown: Fact[int] = ABSENT
    broken: tuple[BrokenRequest, ...] = ()
    sent: int = 0
    after: Fact[Exchange] = ABSENT
    attempts: int = 0
    unanswered: str = ""
    slow: Fact[SlowClient] = ABSENT
