"""How a check states its verdict: a handful of functions that make findings, so that all of them read alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from readiness.model import Finding, Status


def passed(message: str, *, observed: str = "", expected: str = "", **more: Any) -> Finding:
    """As it should be."""
    return Finding(Status.PASS, message, observed, expected, **more)


def warn(
    message: str, *, observed: str = "", expected: str = "", credit: Fraction | float | None = None, **more: Any
) -> Finding:
    """Works, not good enough: half the credit, or a share strictly between 0 and 1 that the message explains."""
    share = None if credit is None else Fraction(credit).limit_denominator(1000)
    if share is not None and not 0 < share < 1:
        raise ValueError(f"a warning's credit lies strictly between 0 and 1, not at {share}")
    return Finding(Status.WARN, message, observed, expected, credit=share, **more)


def failed(message: str, *, observed: str = "", expected: str = "", **more: Any) -> Finding:
    """Not as it should be."""
    return Finding(Status.FAIL, message, observed, expected, **more)


def not_applicable(reason: str, **evidence: Any) -> Finding:
    """The thing does not exist here, and the evidence proves it. Never for "could not look"."""
    return Finding(Status.NOT_APPLICABLE, reason, evidence=evidence)


def untested(reason: str) -> Finding:
    """The configuration gives this check no input; the reason names the key that would."""
    return Finding(Status.UNTESTED, reason)


def show(value: Any, unit: str = "") -> str:
    """A value as a person writes it: `12.3 ms`, `95.0 %` for a share with unit "%", `yes`, `none`."""
    if value is None or value == "" or value == ():
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if unit == "%":
        return f"{100 * float(value):.1f} %"
    if isinstance(value, float):
        text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    elif isinstance(value, int):
        text = f"{value:,}"
    elif isinstance(value, (list, tuple, set, frozenset)):
        text = ", ".join(str(item) for item in value)
    else:
        text = str(value)
    return f"{text} {unit}" if unit else text


def expect(
    observed: Any,
    *,
    what: str,
    equals: Any = None,
    one_of: Iterable[Any] | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    unit: str = "",
    otherwise: Status = Status.FAIL,
    **more: Any,
) -> Finding:
    """Compares `observed` with exactly one expectation: pass where it holds, else `otherwise`.

    `what` names the quantity in the message ("maxmemory-policy"). A share is given between 0 and 1 with unit "%".
    """
    if one_of is not None:
        choices = list(one_of)
        holds, expected = observed in choices, " or ".join(show(choice) for choice in choices)
    elif at_least is not None:
        holds, expected = observed >= at_least, f"at least {show(at_least, unit)}"
    elif at_most is not None:
        holds, expected = observed <= at_most, f"at most {show(at_most, unit)}"
    else:
        holds, expected = observed == equals, show(equals, unit)
    text = show(observed, unit)
    return Finding(Status.PASS if holds else otherwise, f"{what} is {text}", text, expected, **more)


def scaled(value: float, *, good: float, bad: float, what: str, unit: str = "", **more: Any) -> Finding:
    """Full credit up to `good`, none from `bad` on, a straight line between them; works in either direction."""
    share = (Fraction(value) - Fraction(bad)) / (Fraction(good) - Fraction(bad))
    share = share.limit_denominator(1000)
    text, better = show(value, unit), "at most" if good < bad else "at least"
    expected = f"{better} {show(good, unit)}"
    message = f"{what} is {text}"
    if share >= 1:
        return Finding(Status.PASS, message, text, expected, **more)
    if share <= 0:
        return Finding(Status.FAIL, message, text, expected, **more)
    explained = f"{message}: full credit to {show(good, unit)}, none from {show(bad, unit)}"
    return Finding(Status.WARN, explained, text, expected, credit=share, **more)


_BADNESS = {Status.PASS: 0, Status.WARN: 1, Status.FAIL: 2}


def worst(findings: Mapping[str, Finding], *, what: str) -> Finding:
    """One finding over many objects: the worst object decides, the message counts, all that is wrong is evidence.

    A warning gets the share of good objects as its credit. `what` is the plural of the objects ("collections").
    """
    if not findings:
        raise ValueError("worst() needs at least one object")
    judged = {name: finding for name, finding in findings.items() if finding.status in _BADNESS}
    if not judged:
        return next(iter(findings.values()))
    wrong = {name: finding for name, finding in judged.items() if finding.status is not Status.PASS}
    if not wrong:
        name, first = next(iter(judged.items()))
        message = f"{first.message}" if len(judged) == 1 else f"all {len(judged)} {what}: {first.message}"
        return Finding(Status.PASS, message, first.observed, first.expected, first.evidence, measured=first.measured)
    name, gravest = max(wrong.items(), key=lambda pair: (_BADNESS[pair[1].status], -(pair[1].credit or 0)))
    message = f"{name}: {gravest.message}" + (f" ({len(wrong)} of {len(judged)} {what})" if len(judged) > 1 else "")
    credit = gravest.credit
    if gravest.status is Status.WARN and len(judged) > 1 and 0 < len(wrong) < len(judged) and credit is None:
        credit = Fraction(len(judged) - len(wrong), len(judged))
    evidence = {name: finding.message for name, finding in list(wrong.items())[:20]}
    return Finding(
        gravest.status, message, gravest.observed, gravest.expected, evidence, credit,
        gravest.fix, gravest.verify, gravest.measured,
    )  # fmt: skip
