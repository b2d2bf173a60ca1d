"""Whether the keys that a warm cache holds are there, and none of them is huge."""

from __future__ import annotations

import math
from typing import Any

from readiness.api import Finding, check, failed, not_applicable, passed, show, untested, warn
from readiness.facts.redis import KeySample, RedisFacts, Sample

from . import _fixes
from ._common import size

_SCAN = "+scan +ttl +memory|usage %R~<patterns>"
NOT_SET = "set redis.warm_keys, such as {'user:*': 1, 'product:*': 1}"


@check(
    id="caching.warmth.patterns",
    component="caching",
    severity="medium",
    phase=2,
    item="Caching Strategy",
    requires="caching.reach.connect",
    privilege=_SCAN,
    fixes=_fixes.WARM,
    effort="hours",
    reference="https://valkey.io/commands/scan/",
    verify="redis-cli -u $REDIS_URL --scan --pattern 'user:*' | head -1000 | wc -l",
)
def patterns(redis: RedisFacts) -> Finding:
    """The keys of every configured pattern are present before traffic asks for them.

    A cold cache sends the first rush of every deploy to the database. Up to 5 000 keys are scanned, and the counts
    extrapolated to the whole database. A count that falls short by no more than two standard errors of the sample is
    taken for enough; a pattern that a partial scan did not meet may still have a few keys.
    """
    if redis.role == "queue":
        return not_applicable("declared a queue, which is not warmed", role=redis.role)
    if not redis.warm_keys:
        return untested(NOT_SET)
    sample = redis.sample
    short = [each for each in sample.patterns if each.estimate < each.wanted]
    missing = [each for each in short if not each.matched or not _possible(each, sample)]
    unsure = [each for each in missing if _possible(each, sample)]
    more: dict[str, Any] = {
        "observed": ", ".join(f"{each.pattern} {_about(each, sample)}" for each in sample.patterns),
        "expected": ", ".join(f"{each.pattern} at least {each.wanted:,}" for each in sample.patterns),
        "evidence": {"scanned": sample.scanned, "of": sample.keys, "on_replica": sample.on_replica},
    }
    if not missing:
        return passed(f"{len(sample.patterns)} of {len(sample.patterns)} patterns are warm", **more)
    names = show(tuple(each.pattern for each in missing[:3]))
    if unsure:
        return warn(f"{names}: not seen among {sample.scanned:,} of {sample.keys:,} keys", **more)
    if len(missing) == len(sample.patterns):
        return failed(f"cold: too few keys of {names}", **more)
    share = (len(sample.patterns) - len(missing)) / len(sample.patterns)
    return warn(f"too few keys of {names} ({len(missing)} of {len(sample.patterns)} patterns)", credit=share, **more)


def _possible(each: KeySample, sample: Sample) -> bool:
    """Whether that many keys may well exist though a partial scan met fewer.

    Up to two standard errors of a Poisson count above it; where none was met, by the rule of three.
    """
    if sample.complete or not sample.scanned:
        return False
    most = each.matched + 2 * math.sqrt(each.matched) if each.matched else 3
    return each.wanted <= most * sample.keys / sample.scanned


def _about(each: KeySample, sample: Sample) -> str:
    return f"{each.estimate:,}" if sample.complete else f"about {each.estimate:,}"


@check(
    id="caching.keys.big",
    component="caching",
    severity="low",
    requires="caching.reach.connect",
    privilege=_SCAN,
    fix="redis-cli -u $REDIS_URL --bigkeys  # then split the value, or compress it",
    effort="days",
    reference="https://valkey.io/commands/memory-usage/",
    verify="redis-cli -u $REDIS_URL --memkeys",
)
def big_keys(redis: RedisFacts, *, at_most: int = 100_000, none_above: int = 1_000_000) -> Finding:
    """No sampled value is huge.

    A value of megabytes occupies the one thread and the network for as long as it takes to copy, for every reader. Up
    to 50 keys of each configured pattern are measured; keys outside them are not seen.
    """
    if not redis.warm_keys:
        return untested(NOT_SET)
    seen = [each for each in redis.sample.patterns if each.matched]
    if not seen:
        return not_applicable("no key of the configured patterns was seen", scanned=redis.sample.scanned)
    largest = max(seen, key=lambda each: each.largest)
    more: dict[str, Any] = {"observed": size(largest.largest), "expected": f"below {size(at_most)}"}
    message = f"the largest sampled value, of {largest.pattern}, takes {size(largest.largest)}"
    if largest.largest < at_most:
        return passed(message, **more)
    return warn(message, **more) if largest.largest < none_above else failed(message, **more)
