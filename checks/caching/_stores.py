"""The cache that the application reports."""

from __future__ import annotations

from readiness.api import maybe
from readiness.facts.service import AppCache, ServiceFacts
from readiness.facts.stores import Kind, kind_of


def reported(service: ServiceFacts | None) -> AppCache | None:
    """The cache that the service reports, or None. Raises FactMissing where the service could not be asked."""
    if service is None:
        return None
    asked = service.reached()
    return maybe(lambda: asked.cache)


def store_of(cache: AppCache | None) -> tuple[str, Kind]:
    """The service's word for its cache and the kind it stands for; ("", "unknown") where it has none."""
    word = "" if cache is None else maybe(lambda: cache.store) or ""
    return word, kind_of(word)
