"""Metrics worth having: sound histograms, bounded labels, the process itself, names that others understand."""

from __future__ import annotations

from fractions import Fraction

from readiness.api import Finding, check, failed, not_applicable, passed, show, warn
from readiness.facts.metrics import Family, HistogramShape, MetricsFacts
from readiness.facts.service import ServiceFacts

from . import _fixes_metrics
from ._naming import objections

_NAMING = "https://prometheus.io/docs/practices/naming/"
_LIBRARIES = (
    "process_", "nodejs_", "python_", "go_", "jvm_", "dotnet_", "ruby_", "promhttp_", "prometheus_", "system_",
    "tomcat_", "hikaricp_", "jdbc_", "logback_", "executor_", "node_", "kestrel_", "aspnetcore_",
)  # fmt: skip
"""Prefixes of well-known libraries, whose names the service cannot change."""


@check(
    id="monitoring.metrics.histogram",
    component="monitoring",
    severity="high",
    requires="monitoring.metrics.exists",
    fixes=_fixes_metrics.HISTOGRAM,
    effort="hours",
    reference="https://prometheus.io/docs/practices/histograms/",
    verify="curl -s https://HOST/metrics | grep http_request_duration_seconds",
)
def histogram(
    service: ServiceFacts, *, above_last: float = 0.05, in_first: float = 0.9, fine_enough_ms: float = 5
) -> Finding:
    """Histograms are sound, and their buckets fit what they measure.

    Every label set needs a +Inf bucket equal to _count, a _sum, and counts that never fall from bucket to bucket;
    otherwise quantiles are wrong without a word. Requests above the last bucket have no quantile, and where nearly all
    lie in the first one, nothing can be told apart. A first bucket of 5 ms is as fine as the usual buckets get.
    """
    metrics = service.metrics
    expected = "+Inf equal to _count, a _sum, counts that never fall"
    if metrics.faults:
        first = metrics.faults[0]
        more = f" ({len(metrics.faults)} faults)" if len(metrics.faults) > 1 else ""
        return failed(
            f"{first.family[:50]}: {first.fault}{more}",
            observed=f"{first.fault} {first.where}".strip(),
            expected=expected,
            evidence={
                "faults": [f"{each.family[:100]} {each.where[:100]}: {each.fault}" for each in metrics.faults[:20]]
            },
        )
    if metrics.histograms == 0:
        return not_applicable("no histogram is exposed", families=metrics.family_count)
    shape = _of_requests(metrics)
    if shape is not None and shape.above_last > above_last:
        share = show(shape.above_last, "%")
        return warn(
            f"{share} of requests lie above the last bucket ({show(shape.last_bound)})",
            observed=share,
            expected=f"at most {show(above_last, '%')}",
        )
    if shape is not None and shape.in_first > in_first and shape.first_bound * 1000 > fine_enough_ms:
        share = show(shape.in_first, "%")
        return warn(
            f"{share} of requests lie in the first bucket (up to {show(shape.first_bound)} s)",
            observed=share,
            expected=f"at most {show(in_first, '%')}, or a first bucket of {show(fine_enough_ms, 'ms')}",
        )
    return passed(
        f"{metrics.histograms} histograms are sound",
        observed=f"{metrics.histograms} without a fault",
        expected=expected,
    )


def _of_requests(metrics: MetricsFacts) -> HistogramShape | None:
    latency = metrics.__dict__["http"]
    family = getattr(latency, "family", None)
    if getattr(latency, "unit", "") != "seconds":
        return None
    return next((shape for shape in metrics.shapes if shape.family == family), None)


@check(
    id="monitoring.metrics.cardinality",
    component="monitoring",
    severity="high",
    requires="monitoring.metrics.exists",
    fixes=_fixes_metrics.CARDINALITY,
    effort="hours",
    reference="https://prometheus.io/docs/practices/instrumentation/#do-not-overuse-labels",
    verify="curl -s https://HOST/metrics | grep -c .",
)
def cardinality(service: ServiceFacts, *, many: int = 100, too_many: int = 1000) -> Finding:
    """No label grows without bound.

    Every label set is a time series. Paths with ids, user names or e-mail addresses in a label make a new series for
    each visitor, until Prometheus runs out of memory; anybody can do that to a service that labels with the raw path of
    unknown URLs. This audit asked for such a path and looked for it in the labels.
    """
    metrics = service.metrics
    families = sorted(metrics.families, key=lambda family: family.labelsets, reverse=True)
    widest = families[0] if families else Family(name="none", type="untyped")
    observed = f"{widest.labelsets:,} label sets in {widest.name[:60]}; {metrics.series:,} series"
    expected = f"at most {many} label sets a family, and none of ids or raw paths"
    if metrics.truncated:
        size = f"more than {metrics.series:,} series or {metrics.size / 1_000_000:.1f} MB"
        return failed(f"{size}: not read to the end", observed=observed, expected=expected)
    if metrics.high_entropy:
        first = metrics.high_entropy[0]
        return failed(
            f"label {first.label[:30]} of {first.family[:50]} holds {_what(first.pattern)}",
            observed=f"{first.values:,} values; {observed}",
            expected=expected,
            evidence={f"{each.family[:80]}.{each.label[:40]}": each.pattern for each in metrics.high_entropy[:20]},
        )
    if widest.labelsets > too_many:
        return failed(f"{widest.name[:50]} has {widest.labelsets:,} label sets", observed=observed, expected=expected)
    if widest.labelsets > many:
        return warn(f"{widest.name[:50]} has {widest.labelsets:,} label sets", observed=observed, expected=expected)
    return passed(f"at most {widest.labelsets:,} label sets a family", observed=observed, expected=expected)


def _what(pattern: str) -> str:
    plural = {
        "path nobody defined": "paths that nobody defined",
        "e-mail address": "e-mail addresses",
        "number in a path": "paths with numbers",
    }
    return plural.get(pattern, f"{pattern}s")


@check(
    id="monitoring.metrics.runtime",
    component="monitoring",
    severity="medium",
    requires="monitoring.metrics.exists",
    fixes=_fixes_metrics.RUNTIME,
    effort="minutes",
    reference="https://prometheus.io/docs/instrumenting/writing_clientlibs/#standard-and-runtime-collectors",
    verify="curl -s https://HOST/metrics | grep -E '^(process|nodejs|python|go|jvm)_'",
)
def runtime(service: ServiceFacts) -> Finding:
    """Memory, processor time and the runtime of the process are exposed.

    They show a leak or an exhausted limit before it takes the service down. Python with several workers has no
    process_ metrics, which is a warning only.
    """
    metrics = service.metrics
    observed = f"{len(metrics.process)} of the process, {len(metrics.runtime)} of the runtime"
    expected = "metrics of the process and of the runtime"
    if metrics.process and metrics.runtime:
        return passed("process and runtime are exposed", observed=observed, expected=expected)
    if metrics.process or metrics.runtime:
        missing = "runtime" if metrics.process else "process"
        return warn(f"no metrics of the {missing}", observed=observed, expected=expected)
    return failed("no metrics of process or runtime", observed=observed, expected=expected)


@check(
    id="monitoring.metrics.lint",
    component="monitoring",
    severity="low",
    requires="monitoring.metrics.exists",
    fix="curl -s https://HOST/metrics | promtool check metrics",
    effort="hours",
    reference=_NAMING,
    verify="curl -s https://HOST/metrics | promtool check metrics",
    verdicts=("pass", "warn"),
)
def lint(service: ServiceFacts) -> Finding:
    """Names follow the conventions, so that others understand them.

    Counters end in _total and nothing else does, units are base units, words are joined by underscores, and every
    family has a help text: the rules of promtool, and one of our own against percentages. Names of well-known libraries
    are left alone. The credit is the share of sound families.
    """
    own = [family for family in service.metrics.families if not family.name.startswith(_LIBRARIES)]
    found = {family.name: tuple(problems.values()) for family in own if (problems := objections(family))}
    expected = "no family against the conventions"
    if not found:
        return passed(f"{len(own)} own families are well named", observed="0 against them", expected=expected)
    name, (problem, *_) = next(iter(found.items()))
    sound = Fraction(len(own) - len(found), len(own))
    return warn(
        f"{name[:50]}: {problem} ({len(found)} of {len(own)} families; credit is the sound share)",
        observed=f"{len(found)} of {len(own)} families",
        expected=expected,
        credit=min(max(sound, Fraction(1, 10)), Fraction(99, 100)),
        evidence={name[:100]: show(problems) for name, problems in list(found.items())[:20]},
    )
