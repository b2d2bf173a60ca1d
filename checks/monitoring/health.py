"""Health endpoints: whether there are any, what they report, and whether code and body agree."""

from __future__ import annotations

from readiness.api import (
    Absences,
    Finding,
    HttpSettings,
    MongoDBSettings,
    RedisSettings,
    Status,
    check,
    failed,
    passed,
    show,
    warn,
    worst,
)
from readiness.facts.service import Dependency, Health, ServiceFacts

from . import _fixes
from ._health import dependencies, endpoint, judging, main
from ._stores import stores

_REFERENCE = "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/"
_DRAFT = "https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06"


@check(
    id="monitoring.health.exists",
    component="monitoring",
    severity="critical",
    fixes=_fixes.HEALTH,
    effort="hours",
    reference=_REFERENCE,
    verify="curl -si https://HOST/health/ready",
    phase=1,
    item="Monitoring",
    verdicts=("pass", "fail"),
)
def exists(service: ServiceFacts, http: HttpSettings) -> Finding:
    """A health endpoint tells balancers and orchestrators whether to send requests here.

    Without one, a broken instance keeps its share of the traffic. About twenty usual paths are asked for, and an answer
    counts only where it differs from that to a random path: many single-page applications answer 200 to everything.
    """
    paths = [health.path for health in service.health]
    expected = "an endpoint that answers 2xx or 503"
    if http.health is not None and http.health not in paths:
        status = service.tried.get(http.health, 0)
        observed = f"{status}" if status else "no answer within 5 s"
        return failed(
            f"{http.health[:50]} is configured, but is no health endpoint", observed=observed, expected=expected
        )
    if not paths:
        return failed(
            "no health endpoint found",
            observed=f"{len(service.tried)} usual paths do not exist",
            expected=expected,
            evidence={"tried": dict(list(service.tried.items())[:30])},
        )
    return passed(
        f"health is served at {show(tuple(path[:40] for path in paths[:3]))}",
        observed=show(tuple(path[:60] for path in paths)),
        expected=expected,
        verify=main(service).exchange.curl,
    )


@check(
    id="monitoring.health.split",
    component="monitoring",
    severity="high",
    requires="monitoring.health.exists",
    fixes=_fixes.SPLIT,
    effort="hours",
    reference=_REFERENCE,
    verify="curl -s https://HOST/health/live; curl -s https://HOST/health/ready",
)
def split(service: ServiceFacts) -> Finding:
    """Liveness and readiness are separate, and liveness asks no dependency.

    A failed liveness probe restarts the process, a failed readiness probe only takes it out of the balancer. Where
    liveness depends on the database, one outage of the database restarts every instance at once.
    """
    ready, live = endpoint(service, "readiness"), endpoint(service, "liveness")
    expected = "two endpoints, of which liveness asks no dependency"
    if live is not None:
        asked = [dependency.name for dependency in live.dependencies if dependency.kind != "other"]
        if asked:
            return failed(
                f"liveness ({live.path[:40]}) depends on {asked[0][:30]}",
                observed=f"{live.path} reports {show(tuple(asked[:5]))}",
                expected=expected,
                verify=live.exchange.curl,
            )
    if ready is None or live is None:
        only = main(service)
        missing = "liveness" if live is None and ready is not None else "readiness" if live is not None else "both"
        what = (
            "one endpoint serves liveness and readiness" if missing == "both" else f"no {missing} endpoint of its own"
        )
        return warn(what, observed=only.path, expected=expected, verify=only.exchange.curl)
    if ready.digest == live.digest and ready.digest:
        return warn(
            "liveness and readiness give the same answer",
            observed=f"{ready.path} and {live.path} answer alike",
            expected=expected,
            verify=f"{live.exchange.curl}; {ready.exchange.curl}",
        )
    return passed("liveness and readiness are separate", observed=f"{live.path} and {ready.path}", expected=expected)


@check(
    id="monitoring.health.status",
    component="monitoring",
    severity="critical",
    requires="monitoring.health.exists",
    fixes=_fixes.STATUS,
    effort="minutes",
    reference=_DRAFT + "#section-3.1",
    verify="curl -so /dev/null -w '%{http_code}' https://HOST/health/ready",
    verdicts=("pass", "fail"),
)
def status(service: ServiceFacts) -> Finding:
    """The HTTP status of health agrees with its body.

    Balancers read the status and never the body. A body that says "down" under a 200 keeps a broken instance in
    service; one that says "up" under a 5xx keeps a sound one out. Degraded states may go either way.
    """
    return worst({health.path[:40]: _agrees(health) for health in service.health}, what="endpoints")


def _agrees(health: Health) -> Finding:
    code, word = health.exchange.status, health.word[:20] or health.status
    observed, expected = f"{code} with {word!r}", "2xx when it is well, 4xx or 5xx when it is not"
    if health.status == "bad" and code < 400:
        return failed(f"says {word!r} under status {code}", observed=observed, expected=expected)
    if health.status == "good" and code >= 400:
        return failed(f"says {word!r} under status {code}", observed=observed, expected=expected)
    return passed(f"status {code} agrees with {word!r}", observed=observed, expected=expected)


@check(
    id="monitoring.health.deps",
    component="monitoring",
    severity="high",
    requires="monitoring.health.exists",
    fixes=_fixes.HEALTH,
    effort="hours",
    reference=_DRAFT + "#section-4",
    verify="curl -s https://HOST/health/ready",
    phase=1,
    item="Monitoring",
)
def deps(service: ServiceFacts, absences: Absences, mongodb: MongoDBSettings, redis: RedisSettings) -> Finding:
    """Health reports database and cache one by one.

    "Something is wrong" costs minutes of an outage that "the cache does not answer" saves. Expected are those that the
    configuration names, or the service in its metrics and in health itself. If health tells more to authorised callers,
    give the auditor a credential in http.headers.
    """
    listed = dependencies(service)
    having = stores(service, absences, mongodb, redis)
    if finding := having.without("database", "cache"):
        return finding
    wanted = having.known
    kinds = {dependency.kind for dependency in listed.values() if dependency.status != "unknown"}
    missing = [kind for kind in wanted if kind not in kinds]
    observed = show(tuple(f"{name[:30]} ({entry.kind})" for name, entry in list(listed.items())[:8]))
    expected = f"{' and '.join(wanted)} with a status each"
    verify = main(service).exchange.curl
    if not missing:
        return passed(f"health reports {' and '.join(wanted)}", observed=observed, expected=expected, verify=verify)
    if not listed:
        return failed("health reports no dependency", observed="none", expected=expected, verify=verify)
    return warn(f"health does not report the {missing[0]}", observed=observed, expected=expected, verify=verify)


@check(
    id="monitoring.health.resptime",
    component="monitoring",
    severity="medium",
    requires="monitoring.health.exists",
    fix="const start = performance.now(); await db.command({ping: 1});\n"
    "return {status: 'pass', responseTime: performance.now() - start};",
    fixes=_fixes.HEALTH,
    effort="minutes",
    reference=_DRAFT + "#section-4.4",
    verify="curl -s https://HOST/health/ready",
)
def resptime(service: ServiceFacts, absences: Absences, mongodb: MongoDBSettings, redis: RedisSettings) -> Finding:
    """Health reports how long each dependency took to answer, in milliseconds.

    A dependency that takes seconds is about to be down, and health is where that shows first. A time longer than the
    whole request took is a sign of a wrong unit.
    """
    listed = {name: entry for name, entry in dependencies(service).items() if entry.kind != "other"}
    expected = "a response time for each dependency"
    if not listed:
        if finding := stores(service, absences, mongodb, redis).without("database", "cache"):
            return finding
        return failed("health reports no dependency, so no response time", observed="none", expected=expected)
    longest = max(health.exchange.seconds for health in judging(service)) * 1000 * 1.2 + 5
    findings = {name[:40]: _timed(entry, longest) for name, entry in listed.items()}
    times = [value for entry in listed.values() if isinstance(value := entry.__dict__["response_ms"], float)]
    if not times:
        return failed("no dependency has a response time", observed="none", expected=expected)
    if all(finding.status is Status.PASS for finding in findings.values()):
        observed = f"{len(times)} dependencies, the slowest in {show(max(times), 'ms')}"
        return passed("every dependency has a response time", observed=observed, expected=expected)
    return worst(findings, what="dependencies")


def _timed(dependency: Dependency, longest: float) -> Finding:
    expected = "a response time below that of the whole request"
    value = dependency.__dict__["response_ms"]
    if not isinstance(value, float):
        return warn("no response time", observed="none", expected=expected)
    if value > longest:
        return warn(
            f"{show(value, 'ms')} is more than the request took; wrong unit?",
            observed=show(value, "ms"),
            expected=f"at most {show(longest, 'ms')}",
        )
    return passed(f"answers in {show(value, 'ms')}", observed=show(value, "ms"), expected=expected)
