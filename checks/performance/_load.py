"""What the checks of load share: how a rate is written, why a ramp ended, and its steps as evidence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from readiness.api import Finding, maybe, show, untested
from readiness.facts.delivery import DeliveryFacts
from readiness.facts.edge import hit, product
from readiness.facts.load import LoadFacts, LoadStep

REPEAT = "readiness load $URL --rate 100 --duration 10 --connections 50  # and again at other rates"


def per_second(rate: float) -> str:
    """A rate as a person writes it."""
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"


def limited(load: LoadFacts, step: Callable[[], LoadStep | None] | None = None) -> Finding | None:
    """`untested` where a limit for this client ended the load, or `step`: it protects, and it hides the rest."""
    ended = maybe(lambda: load.ended) == "refused"
    met = load.steps[-1] if ended else maybe(step) if step is not None else None
    if met is None or not (ended or met.retry_after or met.answers.get("429")):
        return None
    return untested(f"{refusal(met)} at {per_second(met.rate)}: a rate limit hides the rest; exempt the auditor")


def refusal(step: LoadStep) -> str:
    """How a limit for this client answered: `429 with Retry-After: 60`."""
    kinds = [kind for kind in ("429", "4xx", "5xx") if step.answers.get(kind)]
    kind = {"5xx": "503"}.get(kinds[0], kinds[0]) if kinds else "a refusal"
    return f"{kind} with Retry-After: {step.retry_after[:30]}" if step.retry_after else kind


def ceiling(load: LoadFacts) -> str:
    """The key of the configuration that ended the ramp, or nothing. Raises FactMissing where this machine did."""
    return f"load.{load.ended}" if load.ended in ("rate", "connections", "duration") else ""


def trouble(load: LoadFacts) -> str:
    """What went wrong above what was held."""
    step = load.steps[-1]
    if step.wrong == "errors" or load.base is None:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in list(step.errors.items())[:3])
        return f"at {per_second(step.rate)} {show(step.error_ratio, '%')} fail ({kinds or 'no answer'})"
    before, after = show(load.usual_p95_ms, "ms"), show(step.timing.p95_ms, "ms")
    return f"at {per_second(step.rate)} p95 rises from {before} to {after}"


def cached(delivery: DeliveryFacts | None, paths: Collection[str]) -> str:
    """The cache in front of the service that had the answers of these paths, or nothing."""
    if delivery is None:
        return ""
    seen = [maybe(lambda r=each: r.plain) for each in delivery.resources]  # type: ignore[misc]
    replies = [reply for reply in (*seen, maybe(lambda: delivery.repeated)) if reply is not None]
    return next((product(reply) for reply in replies if reply.path in paths and hit(reply)), "")


def no_time(load: LoadFacts) -> Finding:
    """For what was not sent because nothing was left of load.duration, or because there was no ramp."""
    if len(load.steps) == 1 and (key := ceiling(load)):
        return untested(f"{key} permits no more than the light load: raise it")
    return untested(f"load.duration {load.seconds:g} s left no time for it: raise it")


def ramp(load: LoadFacts) -> Mapping[str, Any]:
    """All steps, and how many requests were under way at the highest rate that was held: rate times latency."""
    steps: dict[str, str] = {}
    for step in load.steps:
        label = per_second(step.rate)
        steps[f"{label} again" if label in steps else label] = _figures(step)
    evidence: dict[str, Any] = {"ramp": steps, "endpoints": ", ".join(load.paths)}
    held = max((step for step in load.steps if not step.wrong), key=lambda step: step.sent, default=None)
    if held is not None:
        evidence["in flight"] = f"{held.sent * held.timing.mean_ms / 1000:.3g} at {per_second(held.sent)}"
    return evidence


def _figures(step: LoadStep) -> str:
    times = maybe(lambda: f"p50 {show(step.timing.p50_ms, 'ms')}, p95 {show(step.timing.p95_ms, 'ms')}")
    ends = ", ".join(f"{count} x {kind}" for kind, count in step.answers.items())
    late = f"{step.skipped} not sent" if step.skipped else ""
    return ", ".join(part for part in (times, ends, late) if part)


def goodput(step: LoadStep, usual_p95_ms: float) -> float:
    """Successful answers a second, over the step and what it fell behind by; stragglers do not count."""
    if not step.successes:
        return 0.0
    behind = max(0.0, step.timing.p95_ms - usual_p95_ms) / 1000
    return step.successes / (step.seconds + behind)
