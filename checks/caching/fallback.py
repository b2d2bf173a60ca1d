"""What the service does while its cache is away."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, passed, untested, warn
from readiness.facts.cache_fallback import Attempt, CacheFallbackFacts

from . import _fixes


@check(
    id="caching.local.fallback",
    component="caching",
    severity="medium",
    phase=2,
    item="Caching Strategy",
    fixes=_fixes.FALLBACK,
    effort="hours",
    reference="https://learn.microsoft.com/en-us/azure/architecture/patterns/cache-aside",
    verify="curl -si $URL_OF_THE_INSTANCE_WITHOUT_CACHE",
)
def fallback(without: CacheFallbackFacts, *, at_most_seconds: float = 2.0) -> Finding:
    """The service goes on answering while its cache is away.

    A cache is an optimisation: losing it should cost time and no answers. To test it, run an instance of the service
    whose cache is switched off or unreachable, and name it in redis.without_url; nothing is ever switched off from
    here, and that the cache is off there is your word. It gets one GET without credentials for each endpoint.
    """
    attempts = without.attempts
    told = [each for each in attempts if not 300 <= each.status < 500]
    if not told:
        return untested(f"{len(attempts)} answers of redis.without_url tell nothing: name open paths in http.endpoints")
    broken = [each for each in told if not each.status or each.status >= 500]
    slow = [each for each in told if each.seconds > at_most_seconds]
    more: dict[str, Any] = {
        "observed": ", ".join(map(_shown, told)),
        "expected": f"successful answers within {at_most_seconds:g} s",
    }
    if broken:
        text = f"{_shown(broken[0])} without a cache ({len(broken)} of {len(told)} endpoints)"
        return failed(text, **more)
    if slow:
        return warn(f"{_shown(slow[0])} without a cache ({len(slow)} of {len(told)} endpoints slow)", **more)
    return passed(f"{len(told)} endpoints answer without a cache", **more)


def _shown(attempt: Attempt) -> str:
    return f"{attempt.path} {attempt.status or 'no answer'} in {attempt.seconds:.1f} s"
