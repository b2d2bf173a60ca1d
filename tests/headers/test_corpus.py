"""The corpus: what every rule says about given headers, with the clause of the specification behind it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from readiness.headers import evaluate

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "corpus.yaml").read_text("utf-8"))


def _label(case: dict[str, Any]) -> str:
    return f"{case['rule']}-{case['verdict']}"


@pytest.mark.parametrize("case", CASES, ids=_label)
def test_case(case: dict[str, Any]) -> None:
    given = {name: value for name, value in case.items() if name not in ("rule", "verdict", "clause", "headers")}
    headers = [(name, value) for name, value in case["headers"]]
    (verdict,) = [verdict for verdict in evaluate(headers, **given) if verdict.id == case["rule"]]
    assert verdict.status == case["verdict"], f"{verdict.reason} ({case['clause']})"


def test_the_corpus_is_complete() -> None:
    assert len(CASES) >= 200
    assert all(case["clause"] and case["url"] and case["status"] and case["profile"] for case in CASES)
    rules = {verdict.id for verdict in evaluate([])}
    assert {case["rule"] for case in CASES} == rules
    lines = Counter(str({name: value for name, value in case.items() if name != "clause"}) for case in CASES)
    assert [line for line, count in lines.items() if count > 1] == []
