"""What a handful of ordinary, broken and anonymous requests told about the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from readiness.facts.base import ABSENT, Fact, Facts, maybe
from readiness.facts.exchange import Exchange

Network = Literal["loopback", "private", "public"]


class PathAnswer(Facts):
    """The answer of one path."""

    path: str
    answer: Fact[Exchange] = ABSENT


class CorsAnswer(Facts):
    """The answer to a request with an `origin`, foreign unless `own`; `preflight` tells that it was OPTIONS."""

    path: str
    origin: str
    own: bool = False
    preflight: bool = False
    answer: Fact[Exchange] = ABSENT


class Attempt(Facts):
    """A request without a credential, or with a worthless one.

    `same_body` compares its answer with the authorised one, `like_unknown` with what unknown paths get; `login_form`
    tells that it asks for a password.
    """

    answer: Fact[Exchange] = ABSENT
    same_body: Fact[bool] = ABSENT
    like_unknown: bool = False
    login_form: bool = False


class ProtectedPath(Facts):
    """A path that must refuse strangers. The bodies of answers below 400 are left out: they belong to somebody.

    `authorised` was sent with the configured headers, and is absent where there are none. `garbage` carried a bearer
    token that is none, `unsigned` a JWT with the algorithm "none", `expired` a JWT that ended long ago, signed with a
    random key, `empty_password` a user with an empty password, `tampered` the configured JWT with one character of its
    signature changed. The last three are anonymous requests for other spellings of the path: with a slash or a
    parameter behind it, with a doubled slash in front. Each is None where it was not tried.
    """

    path: str
    anonymous: Attempt = Attempt()
    garbage: Attempt | None = None
    unsigned: Attempt | None = None
    expired: Attempt | None = None
    empty_password: Attempt | None = None
    tampered: Attempt | None = None
    slash: Attempt | None = None
    semicolon: Attempt | None = None
    double: Attempt | None = None
    authorised: Fact[Exchange] = ABSENT

    def attempts(self) -> Iterator[tuple[str, Attempt]]:
        """What was tried without the right credential, on the path as it was named."""
        yield from self._made("anonymous", "garbage", "unsigned", "expired", "empty_password", "tampered")

    def spellings(self) -> Iterator[tuple[str, Attempt]]:
        """What was tried anonymously under another spelling."""
        yield from self._made("slash", "semicolon", "double")

    def _made(self, *names: str) -> Iterator[tuple[str, Attempt]]:
        for name in names:
            attempt: Attempt | None = getattr(self, name)
            if attempt is not None:
                yield name, attempt


class WritablePath(Facts):
    """Answers to bodies that cannot validate, on a path that the user named for them.

    `malformed` was cut-off JSON by POST, `patched` the same by PATCH, `wrong_type` cut-off XML declared as such,
    `oversized` 1.5 MiB of cut-off JSON.
    """

    path: str
    malformed: Fact[Exchange] = ABSENT
    patched: Fact[Exchange] = ABSENT
    wrong_type: Fact[Exchange] = ABSENT
    oversized: Fact[Exchange] = ABSENT


class HttpFacts(Facts):
    """One service. Every exchange is with the configured headers unless its field says otherwise.

    `profile` was guessed unless `profile_configured`. `network` is where the host's addresses lie. `checked_at` is the
    time of the probe in seconds since 1970. `limited` is the first 429, after which the service was asked more slowly,
    and not at all where that did not help. `closed` names the fields whose request the server answered by closing the
    connection, `left_out` the configured paths that found no place within the budget of requests.
    """

    base: str
    profile: Literal["web", "api", "internal"] = "web"
    profile_configured: bool = False
    network: Network = "public"
    canary: str = ""
    checked_at: float = 0.0
    requests: int = 0
    credentials: bool = False

    root: Fact[Exchange] = ABSENT
    chain: tuple[Exchange, ...] = ()
    root_again: Fact[Exchange] = ABSENT
    not_found: Fact[Exchange] = ABSENT
    not_found_html: Fact[Exchange] = ABSENT
    not_found_api: Fact[Exchange] = ABSENT
    not_found_file: Fact[Exchange] = ABSENT
    options: Fact[Exchange] = ABSENT
    head: Fact[Exchange] = ABSENT
    encoding: Fact[Exchange] = ABSENT
    large_header: Fact[Exchange] = ABSENT
    asset: Fact[Exchange] = ABSENT
    limited: Fact[Exchange] = ABSENT

    endpoints: tuple[PathAnswer, ...] = ()
    cors: tuple[CorsAnswer, ...] = ()
    protected: tuple[ProtectedPath, ...] = ()
    writable: tuple[WritablePath, ...] = ()
    reflected: tuple[PathAnswer, ...] = ()
    closed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def https(self) -> bool:
        return self.base.startswith("https://")

    @property
    def auth_wall(self) -> bool:
        """Whether even unknown paths ask for a credential, so that nothing behind it could be seen."""
        return self.not_found.status in (401, 403) and self.not_found_html.status in (401, 403)

    def answers(self) -> Iterator[tuple[str, Exchange]]:
        """Every exchange, with a name for messages; without the other spellings of paths, which anybody may answer."""
        for number, hop in enumerate(self.chain, 1):
            yield f"redirect {number}", hop
        for name, label in _LABELS.items():
            yield from _present(self, name, label)
        for endpoint in self.endpoints:
            yield from _present(endpoint, "answer", endpoint.path)
        for cors in self.cors:
            yield from _present(cors, "answer", f"{cors.path} with a foreign origin")
        for path in self.protected:
            for name, attempt in path.attempts():
                yield from _present(attempt, "answer", f"{path.path} {name.replace('_', ' ')}")
            yield from _present(path, "authorised", f"{path.path} authorised")
        for body in self.writable:
            for name in ("malformed", "patched", "wrong_type", "oversized"):
                yield from _present(body, name, f"{body.path} {name.replace('_', ' ')}")
        for reflected in self.reflected:
            yield from _present(reflected, "answer", f"{reflected.path} with a marker")


_LABELS = {
    "root": "root",
    "root_again": "root",
    "not_found": "unknown path",
    "not_found_html": "unknown page",
    "not_found_api": "unknown endpoint",
    "not_found_file": "unknown file",
    "options": "OPTIONS",
    "head": "HEAD",
    "encoding": "bad percent-encoding",
    "large_header": "20 kB header",
    "asset": "asset",
    "limited": "a request too many",
}


def seen(facts: Facts, name: str) -> Exchange | None:
    """The exchange in that field, or None where it is absent."""
    value = maybe(lambda: getattr(facts, name))
    return value if isinstance(value, Exchange) else None


def _present(facts: Facts, name: str, label: str) -> Iterator[tuple[str, Exchange]]:
    answer = seen(facts, name)
    if answer is not None:
        yield label, answer
