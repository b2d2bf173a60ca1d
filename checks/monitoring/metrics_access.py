"""Who can read the metrics, and what a scrape costs."""

from __future__ import annotations

from readiness.api import Finding, check, not_applicable, passed, scaled, show, untested, warn
from readiness.facts.http import HttpFacts
from readiness.facts.service import ServiceFacts

from . import _fixes_metrics


@check(
    id="monitoring.metrics.public",
    component="monitoring",
    severity="low",
    requires="monitoring.metrics.exists",
    fixes=_fixes_metrics.PUBLIC,
    effort="minutes",
    reference="https://prometheus.io/docs/operating/security/",
    verify="curl -so /dev/null -w '%{http_code}\\n' https://HOST/metrics",
    verdicts=("pass", "warn"),
)
def public(service: ServiceFacts, http: HttpFacts) -> Finding:
    """Metrics are not for the whole world.

    They name routes, versions and load, and a scrape costs the service something each time. An internal address, or a
    service declared internal with http.profile, is fine; on a public one a stranger should get 401, 403 or 404.
    """
    path, network = service.metrics.path[:60], http.network
    expected = "an internal address, or a credential"
    if path.startswith("http"):
        return untested("http.metrics names another origin; whether strangers reach it is not known")
    if http.profile == "internal" and http.profile_configured:
        return passed("the service is declared internal", observed="profile internal", expected=expected)
    if network != "public":
        return not_applicable(f"the service was asked at a {network} address", network=network)
    if http.credentials:
        return untested("metrics were read with http.headers; whether strangers get them is not known")
    return warn(
        f"anybody can read {path}", observed=f"{service.metrics.status} without a credential", expected=expected
    )


@check(
    id="monitoring.metrics.scrape",
    component="monitoring",
    severity="low",
    requires="monitoring.metrics.exists",
    fix="drop families and labels that no rule and no dashboard reads; cache what is computed on each scrape",
    effort="hours",
    reference="https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config",
    verify="curl -so /dev/null -w '%{time_total} s %{size_download} bytes\\n' https://HOST/metrics",
)
def scrape(service: ServiceFacts, *, good_s: float = 1, bad_s: float = 10, good_mb: float = 1) -> Finding:
    """A scrape is quick and small.

    Prometheus scrapes every instance several times a minute, and gives up after 10 s by default. Past that there are no
    metrics at all, and they end just when the service is busy.
    """
    metrics = service.metrics
    megabytes = metrics.size / 1_000_000
    finding = scaled(metrics.seconds, good=good_s, bad=bad_s, what="the time of a scrape", unit="s")
    if megabytes > good_mb and metrics.seconds <= good_s:
        size = f"{'more than ' if metrics.truncated else ''}{show(megabytes, 'MB')}"
        return warn(f"a scrape is {size}", observed=size, expected=f"at most {show(good_mb, 'MB')}")
    return finding
