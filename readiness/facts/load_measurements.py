"""The steps of a load for the report, one row a rate; they are shown, the checks judge them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from readiness.facts.base import maybe
from readiness.facts.collected import Collected
from readiness.facts.load import LoadFacts, LoadStep
from readiness.model import Measurement

GROUP = "Load"


def load(collected: Mapping[str, Collected]) -> tuple[Measurement, ...]:
    """The ramp, the time after it, and the connections held; nothing where no load was permitted.

    `collected` is by the name of the facts.
    """
    entry = collected.get(LoadFacts.__name__)
    facts = entry.facts if entry is not None else None
    found = maybe(facts.reached) if isinstance(facts, LoadFacts) else None
    if found is None:
        return ()
    rows: dict[str, LoadStep] = {}
    for step in found.steps:
        label = _per_second(step.rate)
        rows[f"{label}, again" if label in rows else label] = step
    for label, extra in (("after the load", maybe(lambda: found.after)), ("held", maybe(lambda: found.hold))):
        if extra is not None:
            what = f"{extra.held:,} connections {label}" if label == "held" else label
            rows[f"{_per_second(extra.rate)}, {what}"] = extra
    return tuple(figure for label, step in rows.items() for figure in _of(label, step))


def _of(label: str, step: LoadStep) -> Iterator[Measurement]:
    yield Measurement(GROUP, label, "requests", step.requests)
    for name in ("p50", "p95", "p99"):
        value = maybe(lambda name=name: getattr(step.timing, f"{name}_ms"))  # type: ignore[misc]
        if value is not None:
            yield Measurement(GROUP, label, name, round(value, 4), "ms")
    failed = (step.requests - step.successes) / step.requests if step.requests else 0.0
    yield Measurement(GROUP, label, "not answered", round(failed, 4), "%")


def _per_second(rate: float) -> str:
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"
