"""Runs a property a few hundred times, or for as long as FUZZ_SECONDS says."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
_ROUND = 500
_PATIENT = tuple(HealthCheck)

Test = Callable[..., None]

HOSTILE = st.sampled_from(
    [
        "\x1b[2J", "\x9b31m", "\u202e", "\ufeff", "\ud800", "\x00", "\r\n::error::x", "<script>alert(1)</script>",
        "]]>", "-->", "{{7*7}}", "{% x", "[/nope]", "|a|b|", "```", "=HYPERLINK(1)", "\u2028", "%0A", "'\"><img src=x>",
        "javascript:alert(1)", "&#27;", "\U000e0041", "null", "NaN", "-1e309", "9" * 400, "x" * 5000,
    ]
)  # fmt: skip
TEXT = st.text(max_size=20) | HOSTILE | st.builds("{}{}".format, HOSTILE, st.text(max_size=5))
NUMBERS = st.sampled_from([0, -1, 2**31, 2**53, 2**63 - 1, -(2**63), 2**64, 10**400, 1e308, -1e-308])
LEAVES = st.none() | st.booleans() | st.integers() | NUMBERS | st.floats() | TEXT
JUNK = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def fuzzed(*strategies: st.SearchStrategy[Any], examples: int) -> Callable[[Test], Callable[[], None]]:
    """A test of hypothesis over these strategies: `examples` of them, or new ones until the time is up."""

    def decorate(test: Test) -> Callable[[], None]:
        usual = {"deadline": None, "suppress_health_check": _PATIENT, "print_blob": True}
        if not SECONDS:
            return settings(max_examples=examples, **usual)(given(*strategies)(test))  # type: ignore[arg-type]
        generated = 0

        def counted(value: Any) -> Any:
            nonlocal generated
            generated += 1
            return value

        first, *others = strategies
        phases = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
        round_of = settings(max_examples=_ROUND, phases=phases, **usual)(  # type: ignore[arg-type]
            given(first.map(counted), *others)(test)
        )

        def run() -> None:
            began = time.monotonic()
            try:
                while time.monotonic() < began + SECONDS:
                    round_of()
            finally:
                print(f"{test.__name__}: {generated} examples in {time.monotonic() - began:.0f} s")

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return decorate


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a document: its container and the key or index there."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [place for key in keys for place in [(value, key), *places(value[key])]]


@st.composite
def broken(draw: st.DrawFn, document: Any, junk: st.SearchStrategy[Any] = JUNK) -> Any:
    """The document with some of its parts replaced, gone, or in place of another part."""
    made = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, 5))):
        there = places(made)
        if not there:
            return draw(junk)
        container, key = there[draw(st.integers(0, len(there) - 1))]
        match draw(st.integers(0, 3)):
            case 0 if isinstance(container, dict):
                del container[key]
            case 1:
                other, at = there[draw(st.integers(0, len(there) - 1))]
                container[key] = copy.deepcopy(other[at])
            case _:
                container[key] = draw(junk)
    return made
