"""Whatever a Redis or MongoDB server does, the audit ends in time, unharmed, and gives nothing away."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from readiness.report import FORMATS

from . import mongodb_servers, redis_servers
from .auditing import Outcome, assert_unharmed, audit
from .serving import serving

AT_ONCE = 4
# Connections that end badly are the point.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
CASES = [("redis", name) for name in redis_servers.MISBEHAVIOURS] + [
    ("mongodb", name) for name in mongodb_servers.MISBEHAVIOURS
]


def _one(folder: Path, system: str, name: str) -> Outcome:
    servers = redis_servers if system == "redis" else mongodb_servers
    with serving(servers.MISBEHAVIOURS[name]) as port:
        configure = mongodb_servers.with_credentials if name in mongodb_servers.LOGINS else servers.configuration
        # Every format where the words are hostile; elsewhere the one that all others are made from.
        return audit(folder / system / name, configure(port), FORMATS if "words" in name else ("json",))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Future[Outcome]]]:
    """All audits, a few at a time: most of their time is waiting."""
    folder = tmp_path_factory.mktemp("stores")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {case: pool.submit(_one, folder, *case) for case in CASES}


def test_there_are_enough() -> None:
    assert len(redis_servers.MISBEHAVIOURS) >= 12
    assert len(mongodb_servers.MISBEHAVIOURS) >= 10


@pytest.mark.parametrize("case", CASES, ids=lambda case: ".".join(case))
@pytest.mark.timeout(600)
def test_unharmed(outcomes: dict[tuple[str, str], Future[Outcome]], case: tuple[str, str]) -> None:
    outcome = outcomes[case].result()
    assert_unharmed(outcome)
    assert all(redis_servers.PASSWORD not in text for text in outcome.texts.values())
    reached = {id: status for id, status in outcome.statuses().items() if id.endswith(".reach.connect")}
    assert reached
