"""Histograms of a scrape: their invariants, how well the buckets fit, and what two scrapes say of the time between."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from readiness.facts.base import ABSENT, absent
from readiness.facts.metrics import Derived, HistogramFault, HistogramShape, Latency
from readiness.probes.exposition import Exposition, Labels, ParsedFamily

MAX_FAULTS = 50
UNIT_MS = {"seconds": 1000.0, "milliseconds": 1.0, "microseconds": 0.001}

Key = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Series:
    """One label set of a histogram or summary: buckets in the order of the text, by their upper bound."""

    labels: Labels
    buckets: list[tuple[float, float]] = field(default_factory=list)
    count: float | None = None
    sum: float | None = None
    unreadable_bound: bool = False


def key(labels: Mapping[str, str]) -> Key:
    """A label set without the labels that tell buckets and quantiles apart."""
    return tuple(sorted((name, value) for name, value in labels.items() if name not in ("le", "quantile")))


def series(family: ParsedFamily) -> dict[Key, Series]:
    """The family's samples by label set."""
    grouped: dict[Key, Series] = {}
    for sample in family.samples:
        name = key(sample.labels)
        entry = grouped.get(name) or grouped.setdefault(name, Series(dict(name)))
        if sample.name.endswith("_bucket"):
            try:
                bound = float(sample.labels["le"])
            except (KeyError, ValueError):
                entry.unreadable_bound = True
                continue
            entry.unreadable_bound |= math.isnan(bound)
            entry.buckets.append((bound, sample.value))
        elif sample.name.endswith("_count"):
            entry.count = sample.value
        elif sample.name.endswith("_sum"):
            entry.sum = sample.value
    return grouped


def faults(family: ParsedFamily) -> list[HistogramFault]:
    """The broken invariants of a histogram, each fault once with the first label set that shows it.

    The format demands a +Inf bucket equal to _count, a _sum, and counts that never fall from one bucket to the next.
    """
    found: dict[str, HistogramFault] = {}
    grouped = series(family)
    for entry in grouped.values():
        for fault in _faults(entry):
            where = ", ".join(f"{name}={value}"[:60] for name, value in list(entry.labels.items())[:4])
            found.setdefault(fault, HistogramFault(family=family.name, fault=fault, where=where))
    bounds = {tuple(sorted({bound for bound, _ in entry.buckets})) for entry in grouped.values() if entry.buckets}
    if len(bounds) > 1:
        found["label sets with different buckets"] = HistogramFault(
            family=family.name, fault="label sets with different buckets"
        )
    return list(found.values())


def _faults(entry: Series) -> list[str]:
    ordered = sorted(entry.buckets)
    bounds = [bound for bound, _ in ordered]
    counts = [count for _, count in ordered]
    known = [count for count in (*counts, entry.count) if count is not None]
    checks = {
        "a bucket without a readable le": entry.unreadable_bound,
        "no +Inf bucket": math.inf not in bounds,
        "the same bucket twice": len(set(bounds)) < len(bounds),
        "counts that fall from one bucket to the next": any(
            later < earlier for earlier, later in itertools.pairwise(counts)
        ),
        "counts that are no whole numbers": any(not math.isfinite(c) or c != int(c) or c < 0 for c in known),
        "no _count": entry.count is None,
        "+Inf differs from _count": entry.count is not None
        and math.inf in bounds
        and counts[bounds.index(math.inf)] != entry.count,
        "no _sum": entry.sum is None,
        "a _sum that is no number": entry.sum is not None and not math.isfinite(entry.sum),
        "a negative _sum without negative buckets": entry.sum is not None
        and entry.sum < 0
        and all(bound >= 0 for bound in bounds),
    }
    return [fault for fault, broken in checks.items() if broken]


def shape(family: ParsedFamily) -> HistogramShape | None:
    """Where the observations of all label sets lie, or None where there are none or the histogram is broken."""
    total = merged(series(family).values())
    bounds = sorted(bound for bound in total if math.isfinite(bound))
    observations = total.get(math.inf, 0.0)
    if not bounds or not 0 < observations < math.inf:
        return None
    in_first, to_last = total[bounds[0]], total[bounds[-1]]
    if not (0 <= in_first <= to_last <= observations):
        return None
    return HistogramShape(
        family=family.name,
        observations=observations,
        first_bound=bounds[0],
        last_bound=bounds[-1],
        in_first=in_first / observations,
        above_last=(observations - to_last) / observations,
    )


def merged(entries: Iterable[Series]) -> dict[float, float]:
    """Cumulative counts by upper bound, summed over label sets."""
    total: dict[float, float] = defaultdict(float)
    for entry in entries:
        for bound, count in entry.buckets:
            total[bound] += count
    return dict(total)


def fell(before: Exposition, after: Exposition) -> bool:
    """Whether a counter, or the count of a histogram or summary, is lower than it was."""
    earlier: dict[tuple[str, Key], float] = {}
    for family in before.families.values():
        earlier.update({(s.name, key(s.labels)): s.value for s in family.samples if _counts(family, s.name)})
    return any(
        sample.value < earlier.get((sample.name, key(sample.labels)), -math.inf)
        for family in after.families.values()
        for sample in family.samples
        if _counts(family, sample.name)
    )


def _counts(family: ParsedFamily, sample: str) -> bool:
    if family.type == "counter":
        return not sample.endswith("_created")
    return family.type in ("histogram", "summary") and sample.endswith("_count")


def derive(
    before: Exposition, after: Exposition, latency: Latency, seconds: float, skip: Callable[[str], bool]
) -> Derived:
    """Rate, mean, 95th percentile and share of 5xx between two scrapes.

    Args:
        latency: the recognised HTTP family.
        seconds: the time between the scrapes.
        skip: says of the value of the route label whether it is left out (health, metrics).
    """
    labels = {} if type(latency.__dict__.get("labels")) is not dict else latency.labels
    route, status = labels.get("route", ""), labels.get("status", "")
    scale = UNIT_MS.get(latency.unit)
    old = series(before.families[latency.family]) if latency.family in before.families else {}
    requests = errors = total = 0.0
    buckets: dict[float, float] = defaultdict(float)
    for name, entry in series(after.families[latency.family]).items():
        if skip(entry.labels.get(route, "")):
            continue
        was = old.get(name) or Series({})
        count = (entry.count or 0.0) - (was.count or 0.0)
        requests += count
        total += (entry.sum or 0.0) - (was.sum or 0.0)
        errors += count if entry.labels.get(status, "").startswith("5") else 0.0
        previous = dict(was.buckets)
        for bound, value in dict(entry.buckets).items():
            buckets[bound] += value - previous.get(bound, 0.0)
    p95 = quantile(buckets, 0.95) if latency.type == "histogram" else None
    usable = math.isfinite(requests) and requests > 0
    times = usable and scale is not None and math.isfinite(total)
    no_time = absent("the family's name does not give its unit" if scale is None else "no requests in between")
    return Derived(
        family=latency.family,
        seconds=seconds,
        requests=requests if math.isfinite(requests) else 0.0,
        mean_ms=total / requests * (scale or 0) if times else no_time,
        p95_ms=p95[0] * (scale or 0) if p95 and times else ABSENT,
        p95_low_ms=p95[1] * (scale or 0) if p95 and times else ABSENT,
        p95_high_ms=p95[2] * (scale or 0) if p95 and times else ABSENT,
        error_ratio=errors / requests if usable and status else absent("no label gives the status"),
    )


def quantile(cumulative: Mapping[float, float], share: float) -> tuple[float, float, float] | None:
    """The quantile by linear interpolation inside its bucket, with the bucket's bounds; None without observations.

    As Prometheus does it: the first bucket begins at 0, and beyond the last finite bound that bound is the answer.
    """
    ordered = sorted(cumulative.items())
    if not ordered or ordered[-1][0] != math.inf or not 0 < ordered[-1][1] < math.inf:
        return None
    rank, low, below = share * ordered[-1][1], 0.0, 0.0
    for bound, count in ordered:
        if count >= rank:
            if bound == math.inf:
                return low, low, low
            start = min(low, bound)
            return start + (bound - start) * (rank - below) / max(count - below, 1e-12), start, bound
        low, below = bound, count
    return None
