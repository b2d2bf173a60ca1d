"""Answers of another shape: whatever a server sends, the probe ends with facts, and facts are strict JSON."""

from __future__ import annotations

import copy
import datetime as dt
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.facts.kubernetes import KubernetesFacts
from readiness.probes.kubernetes import _joined, _Lists
from readiness.probes.kubernetes_access import _lines, _reads_secrets
from readiness.probes.kubernetes_client import _parsed, without_records
from readiness.probes.kubernetes_network import Addresses, slim
from readiness.probes.kubernetes_pods import Tallies
from readiness.probes.kubernetes_read import query
from readiness.probes.kubernetes_workloads import Found

from .api_server import newer

NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
CLUSTER = newer().lists
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["25%", "x" * 999]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a document: its container and the key or index there."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [place for key in keys for place in [(value, key), *places(value[key])]]


@st.composite
def broken(draw: st.DrawFn, path: str) -> list[Any]:
    """The items of a list with some of their parts replaced, or gone."""
    items = copy.deepcopy(CLUSTER[path]["items"])
    for _ in range(draw(st.integers(0, 6))):
        container, key = draw(st.sampled_from(places(items)))
        if isinstance(container, dict) and key in container and draw(st.booleans()):
            del container[key]
        elif isinstance(container, list) or key in container:
            container[key] = draw(JUNK)
    return [item for item in items if isinstance(item, dict)]


@settings(deadline=None, max_examples=60)
@given(
    broken("/apis/apps/v1/deployments"),
    broken("/apis/apps/v1/statefulsets"),
    broken("/apis/apps/v1/daemonsets"),
    broken("/api/v1/pods"),
    broken("/api/v1/services"),
    broken("/apis/discovery.k8s.io/v1/endpointslices"),
    broken("/apis/autoscaling/v2/horizontalpodautoscalers"),
    broken("/apis/policy/v1/poddisruptionbudgets"),
)
def test_any_object_gives_facts(
    deployments: list[Any],
    stateful_sets: list[Any],
    daemon_sets: list[Any],
    pods: list[Any],
    services: list[Any],
    slices: list[Any],
    scalers: list[Any],
    budgets: list[Any],
) -> None:
    tallies, addresses = Tallies(NOW), Addresses()
    for pod in pods:
        tallies.take(pod)
    for each in slices:
        addresses.take_slice(each)
        addresses.take_endpoints(each)
    lists = _Lists(
        workloads={
            "Deployment": [Found("Deployment", item) for item in deployments],
            "StatefulSet": [Found("StatefulSet", item) for item in stateful_sets],
            "DaemonSet": [Found("DaemonSet", item) for item in daemon_sets],
        },
        services=[slim(item) for item in services],
        addresses=addresses,
        autoscalers=[slim(item) for item in scalers],
        budgets=[slim(item) for item in budgets],
        pods=tallies,
    )
    for found in lists.found:
        query(found.spec.get("selector"))
    known = {"now": NOW, "server": "https://c", "namespace": "shop", "access": {"credential": "none"}}
    facts = KubernetesFacts.model_validate(known | _joined(lists, {"policy": "v1"}, chosen=False))
    assert KubernetesFacts.from_json(json.loads(json.dumps(facts.to_json(), allow_nan=False))) == facts


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.dictionaries(st.sampled_from(["verbs", "resources", "apiGroups", "resourceNames"]), JUNK), max_size=3)
)
def test_any_rule_can_be_told(rules: list[dict[str, Any]]) -> None:
    _lines(rules)
    assert all(_reads_secrets(rule) in (True, False) for rule in rules)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"name": st.text('"\\}]{x', max_size=8)},
            optional={
                "managedFields": st.lists(
                    st.dictionaries(st.text('"\\}]{x', max_size=6), JUNK, max_size=2), max_size=2
                ),
                "ownerReferences": st.lists(st.fixed_dictionaries({"name": st.text('"\\}]', max_size=4)}), max_size=2),
            },
        ),
        max_size=4,
    )
)
def test_records_are_left_out_and_nothing_else(objects: list[dict[str, Any]]) -> None:
    document = {"items": [{"metadata": entry} for entry in objects]}
    body = bytearray(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass"))
    parsed = _parsed(body)
    assert parsed is not None
    for was, now in zip(document["items"], parsed["items"], strict=True):
        assert set(now["metadata"]) == set(was["metadata"])
        for key in ("name", "ownerReferences"):
            assert json.dumps(now["metadata"].get(key)) == json.dumps(was["metadata"].get(key))


def test_records_whose_end_is_hard_to_find_cost_no_time() -> None:
    body = bytearray(b'{"managedFields":[{"' + b"}]" * 2_000_000 + b'":1}],"items":[]}')
    assert without_records(body) is body
    assert _parsed(body)["items"] == []


def test_a_deep_answer_is_none() -> None:
    assert _parsed(bytearray(b"[" * 100_000)) is None
    assert _parsed(bytearray(b"\xff\xfe{")) is None
