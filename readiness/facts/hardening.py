"""What the service does with requests of somebody who looks for a way in; none of them can change anything."""

from __future__ import annotations

from typing import Literal

from readiness.facts.base import ABSENT, Fact, Facts
from readiness.facts.exchange import Exchange

ExposedKind = Literal["secret", "debug", "interface"]


class ExposedPath(Facts):
    """What an anonymous request for something that must not be served got; its content is not kept.

    `signature` tells whether the content began as such a file does, `like_unknown` whether it equals what unknown paths
    get, `page` that it would be an HTML page.
    """

    path: str
    kind: ExposedKind = "secret"
    page: bool = False
    status: Fact[int] = ABSENT
    media_type: str = ""
    signature: bool = False
    like_unknown: bool = False


class Reply(Facts):
    """An answer without its content: `rows` is the length of its list, `database_error` whose message is in it."""

    status: Fact[int] = ABSENT
    rows: Fact[int] = ABSENT
    database_error: str = ""


class Injected(Facts):
    """One endpoint, asked twice for each kind of value, in turn, because data change between requests.

    `plain` had a value that nothing has, `equal` and `unequal` the same value under the operators `$eq` and `$ne`,
    `quoted` the value with one quote behind it and `doubled` with two. `url` is that of the last `unequal` request,
    `quoted_url` that of the last `quoted` one.
    """

    path: str
    url: str = ""
    quoted_url: str = ""
    plain: tuple[Reply, ...] = ()
    equal: tuple[Reply, ...] = ()
    unequal: tuple[Reply, ...] = ()
    quoted: tuple[Reply, ...] = ()
    doubled: tuple[Reply, ...] = ()


class Trace(Facts):
    """The answer to TRACE on a path of http.writable; `echoed` tells that it holds a header of the request."""

    path: str
    answer: Fact[Exchange] = ABSENT
    echoed: bool = False


class Burst(Facts):
    """Requests in quick succession, at most `planned`, until the first refusal. Only where http load is allowed."""

    path: str
    planned: int
    statuses: tuple[int, ...] = ()
    refusal: Fact[Exchange] = ABSENT


class HardeningFacts(Facts):
    """One service. `checked_at` is the time of the probe in seconds since 1970, `requests` counts this probe's own.

    `exposed` holds paths from the origin on, where the base URL has a path of its own those below it besides, and
    `unknown_at_origin` is then the answer to a path that does not exist there. `security_txt` is that of the origin.
    """

    checked_at: float = 0.0
    requests: int = 0
    unknown_at_origin: Fact[Exchange] = ABSENT
    exposed: tuple[ExposedPath, ...] = ()
    injected: tuple[Injected, ...] = ()
    traced: tuple[Trace, ...] = ()
    security_txt: Fact[Exchange] = ABSENT
    burst: Burst | None = None
