"""No document of any shape makes a reader raise; what it returns is always valid facts."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.facts.prometheus import AlertmanagerFacts, PrometheusFacts
from readiness.facts.service import ServiceFacts
from readiness.probes import alertmanager, app_cache, health_body, metric_families
from readiness.probes import prometheus_api as api
from readiness.probes.exposition import parse
from readiness.probes.histograms import faults, fell, shape

NAMES = (
    "status health checks components details info error data cache cacheStats type hits misses keys ttl hitRate name "
    "responseTime duration observedValue observedUnit database redis:time activeTargets labels job instance scrapeUrl "
    "lastScrape scrapeInterval groups rules query alerts state activeAlertmanagers url result metric value config "
    "original cluster versionInfo version matchers isRegex endsAt route receiver receivers"
)
KEYS = st.sampled_from(NAMES.split())
WORDS = st.sampled_from(
    ["up", "DOWN", "ok", "success", "alerting", "firing", "active", "http://[", "5s", "1e999", "12 ms"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | WORDS
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=5),
    max_leaves=25,
)  # fmt: skip
NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
LINES = st.text(alphabet='abh_{}="le,0123456789.+InfNa \n#TYPEHELPhistogram', max_size=200)


@given(DOCUMENTS)
@settings(max_examples=300, deadline=None)
def test_health_and_cache_documents(document: Any) -> None:
    body = health_body.read(str(document), document)
    assert len(body.word) <= 40
    assert health_body.digest("", document)
    facts = ServiceFacts(cache=app_cache.read([("/health", document)], None))
    json.dumps(facts.to_json(), allow_nan=False)
    for dependency in body.dependencies:
        json.dumps(dependency.to_json(), allow_nan=False)


@given(DOCUMENTS)
@settings(max_examples=300, deadline=None)
def test_prometheus_documents(document: Any) -> None:
    wrapped = {"status": "success", "data": document}
    for given_document in (document, wrapped):
        facts = PrometheusFacts(
            now=NOW,
            url="http://p",
            ready=True,
            targets=api.targets(given_document, NOW, [("localhost", 1)], api.start_times(given_document)),
            rules=api.rules(given_document, api.metric_list(given_document)),
            alerts=api.alerts(given_document),
            alertmanagers=api.alertmanagers(given_document),
        )
        json.dumps(facts.to_json(), allow_nan=False)
    configuration = AlertmanagerFacts.model_validate(alertmanager.routing(json.dumps(document)))
    json.dumps(configuration.to_json(), allow_nan=False)


@given(LINES, st.sampled_from(["text/plain", "application/openmetrics-text"]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_expositions(text: str, media_type: str, cut: bool) -> None:
    exposition = parse("# TYPE h histogram\n" + text, media_type, cut=cut)
    for family in exposition.families.values():
        faults(family)
        shape(family)
        metric_families.summary(family)
    fell(exposition, exposition)
    metric_families.high_entropy(exposition.families.values(), ["x"])
    metric_families.http_latency(exposition)
    metric_families.cache(exposition, exposition)
