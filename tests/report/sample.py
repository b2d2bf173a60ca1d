"""Reports as an audit would make them, written by hand: the table of the assessment, an outage, and next to nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from readiness.model import (
    CHECKLIST,
    COMPONENTS,
    Architecture,
    Cap,
    ChecklistItem,
    CheckResult,
    Component,
    Condition,
    Expectation,
    Gain,
    Gate,
    Measurement,
    Pack,
    Past,
    Rating,
    Report,
    Severity,
    State,
    Status,
    Step,
    SystemRecord,
    Tool,
    WaiverRecord,
)

TOOL = Tool(
    "readiness", "0.1.0", "1", (Pack("bundled", "0.1.0", 36, "4be1" * 16), Pack("acme-checks", "2.3", 2, "09af" * 16))
)

SCORES: dict[str, tuple[float, float, float, float, str]] = {
    # score, coverage, upper bound, without waivers, note
    "database": (8.4, 1.0, 8.4, 8.4, "no profiler or slow query log: slow operations leave no trace (+1 more)"),
    "caching": (7.6, 1.0, 7.6, 7.6, "hit rate is 85.0 % (+1 more)"),
    "security": (8.1, 0.91, 8.6, 7.2, 'the body {"$gt": ""} was accepted as a user name (+1 more)'),
    "monitoring": (5.0, 0.85, 5.0, 5.0, "/health answers 200 while MongoDB is unreachable (+2 more)"),
    "error_handling": (6.7, 1.0, 6.7, 6.7, "an unknown path answers 200 with text/html (+1 more)"),
    "performance": (7.2, 0.75, 8.3, 7.2, "GET /api/products takes 120 ms (+1 more)"),
}


def rated(score: float) -> Rating:
    return Rating.READY if score >= 8 else Rating.NEEDS_WORK if score >= 6 else Rating.NOT_READY


def component(id: str, **more: Any) -> Component:
    score, coverage, bound, unwaived, note = SCORES[id]
    values: dict[str, Any] = {
        "id": id,
        "name": COMPONENTS[id],
        "state": State.ASSESSED,
        "score": score,
        "headline": int(score),
        "rating": rated(score),
        "weight": 1.0,
        "coverage": coverage,
        "upper_bound": bound,
        "unwaived_score": unwaived,
        "cap": None,
        "notes": note,
    }
    return Component(**values | more)


def unscored(id: str, state: State, notes: str = "") -> Component:
    return Component(id, COMPONENTS[id], state, None, None, None, 1.0, None, None, None, None, notes)


def check(id: str, status: Status, severity: Severity, title: str, message: str, **more: Any) -> CheckResult:
    more.setdefault("component", id.partition(".")[0])
    credit = {Status.PASS: 1.0, Status.WARN: 0.5, Status.FAIL: 0.0, Status.ERROR: 0.0, Status.BLOCKED: 0.0}
    more.setdefault("credit", credit.get(status))
    return CheckResult(id=id, status=status, severity=severity, title=title, message=message, **more)


WRONG = (
    check(
        "monitoring.health.dependencies",
        Status.FAIL,
        Severity.CRITICAL,
        "The health endpoint reports a dead dependency",
        "/health answers 200 while MongoDB is unreachable",
        observed='200 OK, {"status":"ok"}',
        expected="503 while MongoDB does not answer",
        evidence={"path": "/health", "status": 200, "body": {"status": "ok", "uptime": 86125}},
        explanation="A load balancer sends traffic wherever the health endpoint says 200. If it says so while the "
        "database is gone, every user gets an error and nobody is paged.\n\nThe status code is read by the balancer, "
        'so `{"status": "down"}` with 200 does not help.',
        fix="app.get('/health', async (req, res) => {\n  try {\n"
        "    await db.command({ ping: 1 }, { timeoutMS: 1000 });\n    res.json({ status: 'ok' });\n"
        "  } catch {\n    res.status(503).json({ status: 'down' });\n  }\n});",
        fix_for="express",
        verify="curl -si https://api.example.com/health | head -1",
        effort="hours",
        reference="https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/",
        phase=1,
        gain=Gain(1.4, 0.41),
    ),
    check(
        "caching.memory.policy",
        Status.FAIL,
        Severity.HIGH,
        "Full memory evicts old entries instead of refusing writes",
        "maxmemory-policy is noeviction",
        observed="noeviction",
        expected="allkeys-lru or allkeys-lfu",
        evidence={"maxmemory": 268435456, "used_memory": 240123904, "server": "Valkey 9.1.2"},
        explanation="Without an eviction policy a cache becomes a write outage the moment it is full.",
        fix="CONFIG SET maxmemory-policy allkeys-lru",
        fix_for="redis-cli",
        verify="valkey-cli CONFIG GET maxmemory-policy",
        effort="minutes",
        reference="https://valkey.io/topics/lru-cache/",
        privilege="+info",
        phase=1,
        gain=Gain(1.8, 0.3),
    ),
    check(
        "security.input.operators",
        Status.FAIL,
        Severity.HIGH,
        "Query operators in a request body are refused",
        'the body {"$gt": ""} was accepted as a user name',
        observed="POST /api/login answers 200",
        expected="400 or 422",
        evidence={"request": 'POST /api/login {"email": {"$gt": ""}}', "status": 200},
        explanation="An object where a string belongs becomes a MongoDB operator, and a login without a password.",
        fix="Validate every body against a schema that says string, and refuse the rest with 400.",
        verify='curl -si -H \'Content-Type: application/json\' -d \'{"email": {"$gt": ""}, "password": '
        '{"$gt": ""}}\' https://api.example.com/api/login',
        effort="hours",
        reference="https://cheatsheetseries.owasp.org/cheatsheets/Input_Validation_Cheat_Sheet.html",
        phase=1,
        gain=Gain(0.9, 0.15),
    ),
    check(
        "error_handling.notfound.status",
        Status.FAIL,
        Severity.HIGH,
        "An unknown path is answered with 404",
        "an unknown path answers 200 with text/html",
        observed="200, text/html",
        expected="404",
        evidence={"path": "/readiness-4f1c", "status": 200},
        explanation="Clients and monitoring count a wrong path as success.",
        fix="app.use((req, res) => res.status(404).json({ error: 'not found' }));",
        fix_for="express",
        verify="curl -so /dev/null -w '%{http_code}\\n' https://api.example.com/no-such-path",
        effort="minutes",
        reference="https://www.rfc-editor.org/rfc/rfc9110#section-15.5.5",
        phase=1,
        gain=Gain(0.0, 0.0, "no gain until error_handling.stack.hidden is fixed too"),
    ),
    check(
        "performance.latency.endpoints",
        Status.WARN,
        Severity.MEDIUM,
        "Endpoints answer within the expected time",
        "GET /api/products takes 120 ms: full credit to 100 ms, none from 300 ms",
        credit=0.9,
        observed="120 ms",
        expected="at most 100 ms",
        evidence={"/api/products": "p50 120 ms, p95 188 ms", "/api/artisans": "p50 64 ms, p95 90 ms"},
        explanation="The median of 20 sequential requests on a kept connection.",
        fix="Cache the answer of GET /api/products, or index the query behind it.",
        verify="curl -so /dev/null -w '%{time_starttransfer}\\n' https://api.example.com/api/products",
        effort="days",
        reference="https://web.dev/articles/ttfb",
        phase=2,
        gain=Gain(0.3, 0.05),
    ),
    check(
        "caching.hit_rate.window",
        Status.WARN,
        Severity.MEDIUM,
        "Most lookups are answered from the cache",
        "hit rate is 85.0 %: full credit to 95.0 %, none from 70.0 %",
        credit=0.6,
        observed="85.0 %",
        expected="at least 95.0 %",
        evidence={"hits": 1785, "misses": 315, "seconds": 3.0},
        explanation="Measured over a quiet window, never over the lifetime of the server.",
        fix="Warm the cache at start-up, and give entries that are asked for often a longer TTL.",
        verify="valkey-cli INFO stats | grep keyspace",
        effort="hours",
        reference="https://valkey.io/commands/info/",
        phase=2,
        gain=Gain(0.4, 0.06),
    ),
    check(
        "monitoring.metrics.histograms",
        Status.WARN,
        Severity.MEDIUM,
        "Request duration is a histogram",
        "http_request_duration_seconds is a summary: its quantiles cannot be added up",
        observed="summary",
        expected="histogram",
        fix="new prometheus.Histogram({ name: 'http_request_duration_seconds', "
        "labelNames: ['method', 'route', 'status_code'] })",
        verify="curl -s https://api.example.com/metrics | grep '# TYPE http_request_duration_seconds'",
        effort="hours",
        reference="https://prometheus.io/docs/practices/histograms/",
        phase=1,
        gain=Gain(0.2, 0.03),
    ),
    check(
        "database.profiler.enabled",
        Status.WARN,
        Severity.LOW,
        "Slow operations leave a trace",
        "no profiler or slow query log: slow operations leave no trace",
        observed="level 0, slowms 100",
        expected="level 1, or slow operations in the log",
        fix="db.setProfilingLevel(1, { slowms: 50, sampleRate: 0.1 })",
        fix_for="mongosh",
        verify="db.getProfilingStatus()",
        effort="minutes",
        reference="https://www.mongodb.com/docs/manual/tutorial/manage-the-database-profiler/",
        phase=2,
        gain=Gain(0.2, 0.03),
    ),
)

UNASSESSED = (
    check(
        "database.index.usage",
        Status.ERROR,
        Severity.MEDIUM,
        "Every index is used",
        "DatabaseFacts.index_stats: not authorized on shop to execute command aggregate",
        evidence={"needs": "clusterMonitor"},
        privilege="clusterMonitor",
        gain=Gain(0.5, 0.08),
    ),
    check(
        "monitoring.prometheus.reach",
        Status.ERROR,
        Severity.LOW,
        "Prometheus answers",
        "http://prometheus:9090 refused the connection",
        gain=Gain(0.4, 0.06, "if the 3 checks that it blocks pass too"),
    ),
    *(
        check(
            f"monitoring.prometheus.{name}",
            Status.BLOCKED,
            Severity.MEDIUM,
            title,
            "blocked by monitoring.prometheus.reach",
            evidence={"blocked_by": "monitoring.prometheus.reach"},
        )
        for name, title in (
            ("targets", "Every target is up"),
            ("rules", "Rules are loaded and evaluate without errors"),
            ("alerts", "Alerts reach an Alertmanager"),
        )
    ),
    check(
        "security.access.protected",
        Status.UNTESTED,
        Severity.CRITICAL,
        "Protected paths refuse an anonymous caller",
        "set http.protected to the paths that must refuse an anonymous caller",
    ),
    check(
        "performance.load.rate",
        Status.UNTESTED,
        Severity.HIGH,
        "The service keeps its latency under load",
        "needs load.allow in the configuration, or --load",
    ),
    check(
        "performance.load.users",
        Status.UNTESTED,
        Severity.HIGH,
        "The expected number of users is served",
        "needs load.allow in the configuration, or --load",
    ),
    check(
        "performance.cdn.assets", Status.SKIPPED, Severity.LOW, "Static assets come from a CDN", "left out by --skip"
    ),
    check(
        "database.replication.lag",
        Status.NOT_APPLICABLE,
        Severity.HIGH,
        "Secondaries keep up with the primary",
        "hello says standalone: no replica set to judge",
        evidence={"hello": {"isWritablePrimary": True}},
    ),
    check(
        "security.headers.csp",
        Status.WAIVED,
        Severity.HIGH,
        "A content security policy restricts scripts",
        "no Content-Security-Policy header",
        observed="none",
        expected="a policy without unsafe-inline",
        unwaived_status=Status.FAIL,
        fix="Content-Security-Policy: default-src 'self'",
        effort="days",
        reference="https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/CSP",
    ),
    check(
        "security.cookies.samesite",
        Status.WAIVED,
        Severity.MEDIUM,
        "Cookies name a SameSite mode",
        "sid has no SameSite attribute",
        unwaived_status=Status.WARN,
    ),
)

_PASSED = (
    ("database.reach.connect", Severity.CRITICAL, "The deployment answers", "1 of 1 members answer in 3 ms"),
    ("database.pool.max_size", Severity.HIGH, "The connection pool fits the load", "maxPoolSize is 80"),
    ("database.retry.writes", Severity.MEDIUM, "Writes are retried once", "retryWrites is on"),
    ("database.latency.queries", Severity.HIGH, "Queries answer in time", "database queries take 31 ms"),
    ("database.version.eol", Severity.HIGH, "The version still gets security fixes", "MongoDB 8.0.17"),
    ("caching.reach.connect", Severity.CRITICAL, "The cache answers", "PONG in 0.4 ms"),
    ("caching.memory.limit", Severity.HIGH, "Memory has a limit", "maxmemory is 256 MB"),
    ("caching.ttl.coverage", Severity.MEDIUM, "Entries expire", "98.2 % of 12,400 keys have a TTL"),
    ("security.reach.connect", Severity.CRITICAL, "The service answers", "200 in 41 ms"),
    ("security.tls.protocols", Severity.CRITICAL, "Old TLS versions are refused", "TLS 1.2 and 1.3 only"),
    ("security.tls.expiry", Severity.HIGH, "The certificate is valid for weeks", "expires in 71 days"),
    ("security.headers.hsts", Severity.HIGH, "Browsers are told to use HTTPS", "max-age is 31,536,000 s"),
    ("security.limits.rate", Severity.MEDIUM, "Clients are rate limited", "429 after 100 requests, with Retry-After"),
    ("monitoring.metrics.exposed", Severity.HIGH, "Metrics are exposed", "/metrics: 214 series in 38 families"),
    ("error_handling.format", Severity.MEDIUM, "Errors are JSON", "400 as application/problem+json"),
    ("error_handling.stack.hidden", Severity.HIGH, "Errors do not leak a stack trace", "no trace in 6 error answers"),
    ("performance.compression", Severity.LOW, "Answers are compressed", "gzip, 78 % smaller"),
)

ATTESTED = check(
    "monitoring.attested.on_call",
    Status.PASS,
    Severity.HIGH,
    "Somebody answers an alert at any hour",
    "declared: a rota of four, with an escalation after 15 minutes (platform, until 2026-12-31)",
    observed="declared by platform, valid until 2026-12-31: https://wiki.example.com/on-call",
    expected="a statement with evidence and owner that has not expired",
    evidence={"declared": True, "owner": "platform", "expires": "2026-12-31"},
)

CHECKS = (*WRONG, *UNASSESSED, *(check(id, Status.PASS, *rest) for id, *rest in _PASSED), ATTESTED)

ITEMS = {
    "Redis Integration": ("partial", ("caching.reach.connect", "caching.memory.policy")),
    "Security Headers": ("done", ("security.headers.hsts",)),
    "Input Sanitization": ("open", ("security.input.operators",)),
    "Monitoring": ("partial", ("monitoring.health.dependencies", "monitoring.metrics.exposed")),
    "Database Optimization": ("done", ("database.pool.max_size", "database.latency.queries")),
    "Caching Strategy": ("partial", ("caching.hit_rate.window", "caching.ttl.coverage")),
    "CDN Integration": ("unknown", ("performance.cdn.assets",)),
}


def box(role: str, name: str, detail: str = "", state: str = "present") -> dict[str, str]:
    return {"role": role, "name": name, "detail": detail, "state": state}


ARCHITECTURE = Architecture(
    current={
        "flow": [
            [box("clients", "Clients", "HTTPS")],
            [box("service", "artisan-market", "1 instance")],
            [box("database", "MongoDB 8.0.17", "standalone"), box("cache", "Valkey 9.1.2", "no replica")],
            [box("monitoring", "Metrics endpoint", "who reads it was not looked at")],
        ],
        "region": "eu-central-1",
    },
    recommended={
        "flow": [
            [box("clients", "Clients", "HTTPS")],
            [box("edge", "CDN", "for scripts, styles and images", "missing")],
            [box("balancer", "Load balancer", "before several instances", "missing")],
            [box("service", "artisan-market", "2 instances or more", "change")],
            [
                box("database", "MongoDB", "replica set, 3 members", "change"),
                box("cache", "Valkey 9.1.2", "primary and replica", "change"),
                "Queue",
            ],
            [box("monitoring", "Prometheus", "metrics, dashboards and alerts", "unknown")],
        ],
    },
)


MEASUREMENTS = tuple(
    Measurement(group, member, name, value, unit)
    for member, figures in {"db1:27017": (24, 3, 815, 0.4217, 0.0), "db2:27017": (12, 1, 827, 0.05)}.items()
    for (group, name, unit), value in zip(
        (
            ("Database connections", "open", ""),
            ("Database connections", "active", ""),
            ("Database connections", "available", ""),
            ("Database connections", "average response", "ms"),
            ("Database queries", "indexes in use", "%"),
        ),
        figures,
        strict=False,
    )
)
HISTORY = (
    Past("2026-01-05T09:30:00+00:00", 5.2, {"database": 7.0, "security": 5.1, "monitoring": 2.0}),
    Past("2026-01-19T09:30:00+00:00", None, {"security": 6.4}),
    Past("2026-02-02T09:30:00+00:00", 6.3, dict.fromkeys(COMPONENTS, 6.3) | {"caching": None}),
    Past("2026-02-16T09:30:00+00:00", 6.8, dict.fromkeys(COMPONENTS, 6.8)),
)


def assessment() -> Report:
    """The table that the assessment ends with: 8, 7, 8, 5, 6, 7, and 7/10 overall."""
    monitoring = Cap(5.0, 6.3, "monitoring.health.dependencies failed")
    return Report(
        schema_version="1",
        tool=TOOL,
        service="artisan-market",
        environment="production",
        target="https://api.example.com",
        started_at="2026-03-02T09:30:00+00:00",
        duration_seconds=3.84,
        interrupted=False,
        incomplete=False,
        score=7.1,
        headline=7,
        target_score=9.0,
        rating=Rating.NEEDS_WORK,
        coverage=0.91,
        upper_bound=7.9,
        unwaived_score=6.9,
        cap=None,
        components=tuple(component(id, cap=monitoring if id == "monitoring" else None) for id in COMPONENTS),
        checks=CHECKS,
        checklist=tuple(
            ChecklistItem(phase, item, *ITEMS.get(item, ("unknown", ())))
            for phase, items in CHECKLIST.items()
            for item in items
        ),
        expectations=(
            Expectation("response_time_ms", 100, 120.4, False),
            Expectation("database_query_ms", 50, 31.2, True),
            Expectation("cache_hit_rate", 0.95, 0.85, False),
            Expectation("concurrent_users", 10_000, None, None),
        ),
        architecture=ARCHITECTURE,
        path_to_target=(
            Step("monitoring.health.dependencies", 7.5),
            Step("caching.memory.policy", 7.8),
            Step("security.input.operators", 8.3),
            Step("error_handling.notfound.status", 8.7),
            Step("monitoring.prometheus.reach", 9.0),
        ),
        gate=Gate(
            False,
            (
                Condition("score", ">= 8", 7.1, False),
                Condition("component security", ">= 8", 8.1, True),
                Condition("severity", "no critical finding", "1: monitoring.health.dependencies", False),
                Condition("coverage", ">= 80 %", 91.0, True),
            ),
        ),
        waivers=(
            WaiverRecord(
                "security.headers.csp", "third-party widget needs inline scripts", "web-team", "2027-01-31", "applied"
            ),
            WaiverRecord("security.cookies.samesite", "legacy checkout", "web-team", "2026-06-30", "applied"),
            WaiverRecord("database.version.eol", "upgrade is planned", "dba", "2026-12-31", "unneeded"),
        ),
        absences={},
        notices=(
            "database.pool.max_size was judged with at_least=80",
            "left out by --skip, counted as 0: performance.cdn.assets",
        ),
        measurements=MEASUREMENTS,
        stack={
            "nginx": "server: nginx/1.27.2",
            "express": "x-powered-by: Express",
            "node": "x-powered-by: Express",
        },
        history=HISTORY,
        facts={
            "ServiceFacts": SystemRecord("ServiceFacts", "collected", "", 3.4),
            "DatabaseFacts": SystemRecord("DatabaseFacts", "collected", "", 3.21),
            "RedisFacts": SystemRecord("RedisFacts", "collected", "", 3.12),
            "PrometheusFacts": SystemRecord(
                "PrometheusFacts", "failed", "http://prometheus:9090 refused the connection", 0.02
            ),
        },
    )


def ready() -> Report:
    """Everything passes; a gate is met; one component is declared absent."""
    base = assessment()
    passed = tuple(each for each in base.checks if each.status is Status.PASS and each.component != "caching")
    return replace(
        base,
        score=10.0,
        headline=10,
        rating=Rating.READY,
        coverage=1.0,
        upper_bound=10.0,
        unwaived_score=10.0,
        cap=None,
        components=tuple(
            unscored(id, State.ABSENT, "absent: stateless proxy, no cache")
            if id == "caching"
            else component(
                id,
                score=10.0,
                headline=10,
                rating=Rating.READY,
                coverage=1.0,
                upper_bound=10.0,
                notes="all checks pass",
            )
            for id in COMPONENTS
        ),
        checks=passed,
        expectations=(Expectation("response_time_ms", 100, 12.0, True),),
        path_to_target=(),
        gate=Gate(True, (Condition("score", ">= 8", 10.0, True), Condition("coverage", ">= 80 %", 100.0, True))),
        waivers=(),
        absences={"caching": "stateless proxy, no cache"},
        notices=(),
        architecture=Architecture(),
        measurements=(),
        stack={},
        history=(),
        facts={"ServiceFacts": SystemRecord("ServiceFacts", "collected", "", 0.4)},
    )


def outage() -> Report:
    """Redis was configured and did not answer: one error, everything else of it blocked, exit 3."""
    base = assessment()
    down = check(
        "caching.reach.connect",
        Status.ERROR,
        Severity.CRITICAL,
        "The cache answers",
        "127.0.0.1:6379 refused the connection",
        gain=Gain(10.0, 1.6, "if the 5 checks that it blocks pass too"),
    )
    others = tuple(
        check(
            f"caching.memory.{name}",
            Status.BLOCKED,
            Severity.HIGH,
            f"Memory is fine ({name})",
            "blocked by caching.reach.connect",
            evidence={"blocked_by": "caching.reach.connect"},
        )
        for name in ("limit", "policy", "headroom", "evictions", "fragmentation")
    )
    return replace(
        base,
        score=6.0,
        headline=6,
        coverage=0.78,
        upper_bound=7.7,
        unwaived_score=6.0,
        cap=Cap(7.9, 8.3, "Caching is not ready"),
        incomplete=True,
        components=tuple(
            component(
                id, score=0.0, headline=0, rating=Rating.NOT_READY, coverage=0.0, upper_bound=10.0, unwaived_score=0.0,
                notes="127.0.0.1:6379 refused the connection (+5 more)", cap=None,
            )
            if id == "caching"
            else component(id)
            for id in COMPONENTS
        ),
        checks=(down, *others, *(e for e in base.checks if e.component != "caching" and e.status is not Status.WAIVED)),
        path_to_target=(Step("caching.reach.connect", 7.7),),
        gate=Gate(None),
        waivers=(),
        notices=(),
        facts={"RedisFacts": SystemRecord("RedisFacts", "failed", "127.0.0.1:6379 refused the connection", 0.01)},
    )  # fmt: skip


def partial() -> Report:
    """One component was asked for with --only, so there is no overall score; the run was interrupted."""
    base = assessment()
    return replace(
        base,
        interrupted=True,
        score=None,
        headline=None,
        rating=None,
        upper_bound=None,
        unwaived_score=None,
        coverage=None,
        components=tuple(component(id) if id == "security" else unscored(id, State.NOT_RUN) for id in COMPONENTS),
        checks=tuple(each for each in base.checks if each.component == "security"),
        checklist=(),
        expectations=(),
        architecture=Architecture(),
        path_to_target=(),
        gate=Gate(None),
        waivers=(),
        notices=("only a part was run, so there is no overall score",),
        measurements=(),
        stack={},
        history=(),
        facts={},
    )


REPORTS = {("assessment", 1): assessment, ("ready", 0): ready, ("outage", 3): outage, ("partial", 130): partial}
"""The golden reports: name and exit code."""
