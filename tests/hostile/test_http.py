"""Whatever an HTTP server does, the audit ends in time, unharmed, and does not call it ready."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from readiness.report import FORMATS

from .auditing import Outcome, assert_unharmed, audit
from .http_servers import MISBEHAVIOURS, configuration
from .serving import serving

AT_ONCE = 4
# Connections that end badly are the point.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def _one(folder: Path, name: str) -> Outcome:
    with serving(MISBEHAVIOURS[name]) as port:
        # Every format where the words are hostile; elsewhere the one that all others are made from.
        return audit(folder / name, configuration(port), FORMATS if "words" in name else ("json",))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Outcome]]]:
    """All audits, a few at a time: most of their time is waiting."""
    folder = tmp_path_factory.mktemp("http")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(_one, folder, name) for name in MISBEHAVIOURS}


def test_there_are_enough() -> None:
    assert len(MISBEHAVIOURS) >= 30


@pytest.mark.parametrize("name", MISBEHAVIOURS)
@pytest.mark.timeout(600)
def test_unharmed(outcomes: dict[str, Future[Outcome]], name: str) -> None:
    outcome = outcomes[name].result()
    assert_unharmed(outcome)
    assert all("s3cr3t-t0ken" not in text for text in outcome.texts.values())
