"""A first look at a service of which nothing is known yet: its root, and its OpenAPI document if it publishes one."""

from __future__ import annotations

from readiness.facts.base import ABSENT, Fact, Facts
from readiness.facts.exchange import Exchange


class Operation(Facts):
    """A documented GET without parameters. `status` is what an ordinary GET answered, 0 where it was not asked.

    `secured` says that the document demands a credential for it.
    """

    path: str
    secured: bool = False
    status: int = 0
    media_type: str = ""


class OpenApi(Facts):
    """An OpenAPI or Swagger document. Paths are those below the configured URL, without unusual characters.

    `operations` counts all of them; `gets` are those that can be asked without knowing anything, `writes` the paths
    that take a body.
    """

    path: str
    title: str = ""
    version: str = ""
    operations: int = 0
    gets: tuple[Operation, ...] = ()
    writes: tuple[str, ...] = ()


class SurveyFacts(Facts):
    """`root` is the answer behind redirects inside the origin, `unknown` those to a path that cannot exist.

    `moved` is the origin to which the root redirects, if it is another one. `openapi` is None where no document was
    found.
    """

    root: Fact[Exchange] = ABSENT
    unknown: tuple[Exchange, ...] = ()
    moved: str = ""
    openapi: Fact[OpenApi | None] = ABSENT
    requests: int = 0
