"""What the application tells its Redis client, read from its URL without ever connecting."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from readiness.facts.base import ABSENT, Fact, Facts
from readiness.facts.redis import Network

Milliseconds = Annotated[float, Field(ge=0)]


class CacheClientFacts(Facts):
    """The application's own URL; None is "not set", so its library's default applies.

    Time-outs are milliseconds, whatever the library counts in; a value that no library takes is absent. `library` is
    the one that the option names belong to, empty where they tell nothing. `network` is absent where the host is a
    name that says nothing about where it leads. `default_user` says that a password is given without a user's name.
    """

    host: str = ""
    port: int = 0
    network: Fact[Network] = ABSENT
    library: str = ""
    tls: bool = False
    tls_verified: Fact[bool] = ABSENT
    logs_in: bool = False
    default_user: bool = False
    connect_ms: Fact[Milliseconds | None] = None
    command_ms: Fact[Milliseconds | None] = None
    retries: Fact[int | None] = None
    unknown: tuple[str, ...] = ()
