"""An audit that may send less than it would like to: what it did not get to ask is no fault of the service."""

from __future__ import annotations

import functools

import pytest

from readiness import loader
from readiness.collect import Run, collect, plan
from readiness.judge import call
from readiness.model import Status
from readiness.settings import Settings

from .recording import Recorder, recording

REGISTRY = loader.load()
UNJUDGED = {Status.ERROR, Status.UNTESTED, Status.NOT_APPLICABLE}
# Latency on a machine that is busy with other tests may be one thing or the other.
TIMED = ("performance.latency", "performance.keepalive", "performance.cold_start", "monitoring.health.resptime")


def settings(server: Recorder, requests: int) -> Settings:
    return Settings.model_validate(
        {
            "http": {"url": f"http://127.0.0.1:{server.server_port}/", "slow_client_seconds": 1},
            "limits": {"window_seconds": 0.3, "requests": requests},
        }
    )


def audited(requests: int) -> tuple[Run, dict[str, Status], int]:
    """What was collected and judged, and how many requests the service saw."""
    with recording("127.0.0.1") as server:
        wanted = settings(server, requests)
        run = collect(plan(REGISTRY.checks.values(), REGISTRY.probes), wanted, lambda *_: None)
        asked = len(server.asked)
    statuses = {id: call(spec, run.collected, wanted, {}).status for id, spec in REGISTRY.checks.items()}
    return run, {id: status for id, status in statuses.items() if not id.startswith(TIMED)}, asked


@functools.cache
def unhindered() -> dict[str, Status]:
    return audited(400)[1]


@pytest.mark.parametrize("requests", [1, 2, 5, 9, 14, 20, 35, 60, 80])
def test_what_was_not_asked_is_not_judged(requests: int) -> None:
    run, statuses, asked = audited(requests)
    assert asked <= requests
    told = [f"{each.reason} {each.facts}" for each in run.collected.values()]
    assert any("limits.requests" in each for each in told), "some fact says why it is not there"
    for id, status in statuses.items():
        usual = unhindered()[id]
        assert status in {usual, *UNJUDGED}, f"{id}: {status} with {requests} requests, otherwise {usual}"


def test_it_is_enough_for_all_that_a_service_is_asked() -> None:
    _, statuses, asked = audited(400)
    assert asked < 400
    assert statuses["monitoring.health.exists"] is Status.PASS
    assert statuses["error_handling.recovery"] is Status.PASS
