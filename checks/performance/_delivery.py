"""What the delivery checks share: which answers can be judged, and what to say when there is none."""

from __future__ import annotations

import shlex
from urllib.parse import urljoin

from readiness.api import Finding, maybe, untested
from readiness.facts.delivery import DeliveryFacts, Resource

from ._endpoints import name

OURS_TO_CONFIGURE = {301, 302, 303, 307, 308, 401, 403, 404}


def successful(delivery: DeliveryFacts) -> tuple[Resource, ...]:
    """The resources that were answered with 200."""
    return tuple(each for each in delivery.resources if maybe(lambda r=each: r.plain) is not None)  # type: ignore[misc]


def place(delivery: DeliveryFacts, resource: Resource) -> str:
    """The address of a resource as a shell takes it. Assets are named by the page, the rest is below the base URL."""
    if resource.kind == "asset":
        return shlex.quote(urljoin(delivery.url, resource.path))
    return f"$URL{shlex.quote(resource.path)}"


def nothing(delivery: DeliveryFacts) -> Finding:
    """For a service of which no answer could be had: `untested` where the configuration could change that.

    Raises FactMissing, which makes an `error`, where it could not.
    """
    first = delivery.resources[0]
    if first.status in OURS_TO_CONFIGURE:
        return untested(f"GET {name(first.path)} answers {first.status}: set http.endpoints or http.headers")
    _ = first.plain
    raise AssertionError("only called where nothing was successful")
