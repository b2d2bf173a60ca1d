"""The words and marks of a report, the same in every format."""

from __future__ import annotations

from collections.abc import Mapping

from readiness.model import COMPONENTS, ON_DEMAND, STACKS, Rating, State, Status

NONE = "—"
TITLE = "Production Readiness Assessment"

MARKS: Mapping[Status, str] = {
    Status.PASS: "✅",
    Status.WARN: "⚠️",
    Status.FAIL: "❌",
    Status.ERROR: "💥",
    Status.BLOCKED: "⛔",
    Status.SKIPPED: "⏭️",
    Status.UNTESTED: "⚪",
    Status.NOT_APPLICABLE: "➖",
    Status.WAIVED: "🕗",
}
STATUSES: Mapping[Status, str] = {
    Status.PASS: "passed",
    Status.WARN: "warning",
    Status.FAIL: "failed",
    Status.ERROR: "could not be judged",
    Status.BLOCKED: "blocked",
    Status.SKIPPED: "skipped",
    Status.UNTESTED: "not tested",
    Status.NOT_APPLICABLE: "not applicable",
    Status.WAIVED: "waived",
}
RATINGS: Mapping[Rating, str] = {
    Rating.READY: "Ready for production",
    Rating.NEEDS_WORK: "Needs work before production",
    Rating.NOT_READY: "Not ready for production",
}
STATES: Mapping[State, str] = {
    State.ASSESSED: "assessed",
    State.NOTHING_ASSESSED: "nothing could be assessed: counts 0 in the overall score",
    State.NOT_CONFIGURED: "not configured",
    State.ABSENT: "declared absent",
    State.NOT_RUN: "not run",
}
PHASES: Mapping[int, str] = {
    1: "Critical Production Requirements",
    2: "Performance Optimization",
    3: "Scalability",
}
ITEMS: Mapping[str, str] = {
    "Redis Integration": "a shared Redis or Valkey instead of an in-memory cache",
    "Security Headers": "comprehensive security headers on every answer",
    "Input Sanitization": "input validation and sanitization",
    "Monitoring": "metrics, application performance monitoring and health checks",
    "Error Tracking": "error tracking and alerting",
    "Database Optimization": "connection pools sized for production, queries served by indexes",
    "Caching Strategy": "cache warming and preloading",
    "CDN Integration": "a CDN for static assets",
    "Load Balancing": "requests spread over several instances",
    "Microservices": "complete service separation",
    "Container Orchestration": "containers under an orchestrator such as Kubernetes",
    "Auto-scaling": "capacity that follows the load",
    "Database Sharding": "data spread over shards",
}
ITEM_STATES: Mapping[str, tuple[str, str]] = {
    "done": ("✅", "done"),
    "partial": ("⚠️", "partly done"),
    "open": ("❌", "open"),
    "unknown": ("❔", "unknown"),
}
METRICS: Mapping[str, tuple[str, str, str]] = {
    # name of the expectation: label, sign of the target, unit
    "response_time_ms": ("Response Time", "<", "ms"),
    "database_query_ms": ("Database Queries", "<", "ms"),
    "cache_hit_rate": ("Cache Hit Rate", "≥", "%"),
    "concurrent_users": ("Concurrent Users", "≥", ""),
}
WAIVER_STATES: Mapping[str, str] = {
    "applied": "in force",
    "expired": "expired, so it no longer counts",
    "unknown": "without effect: there is no such check",
    "unneeded": "can be removed: the check passes",
    "not_applied": "without effect: nothing was found that could be accepted",
    "not_run": "without effect: the check was not run",
}


def component_name(id: str) -> str:
    return {**COMPONENTS, **ON_DEMAND}.get(id, id.replace("_", " ").title())


LANGUAGES: Mapping[str, str] = {
    "nginx": "nginx",
    "kubernetes": "yaml",
    "express": "js",
    "node": "js",
    "fastapi": "python",
    "django": "python",
    "python": "python",
    "mongosh": "js",
    "redis-cli": "sh",
}
"""The language of a fix, by the stack that it is written for, as code blocks of Markdown name it."""


def stack_name(key: str) -> str:
    """What a fix is written for, as it calls itself."""
    return STACKS.get(key, key)
