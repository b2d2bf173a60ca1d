"""Whether there is a cache that can be asked."""

from __future__ import annotations

from readiness.api import Finding, check, failed, maybe, not_applicable, passed, untested
from readiness.facts.redis import RedisFacts
from readiness.facts.service import ServiceFacts

from ._stores import reported, store_of


@check(
    id="caching.reach.connect",
    component="caching",
    severity="critical",
    phase=1,
    item="Redis Integration",
    fix="redis-cli -u $REDIS_URL PING  # from the auditor's machine: name resolution, firewall, TLS, password",
    effort="hours",
    reference="https://valkey.io/commands/ping/",
    verify="redis-cli -u $REDIS_URL PING",
    privilege="+ping",
    verdicts=("pass", "fail"),
)
def connect(redis: RedisFacts | None, service: ServiceFacts | None) -> Finding:
    """The shared cache answers, and is ready to serve.

    Every check of the server builds on this one. While it loads its data set, has lost its primary or cannot write its
    snapshot, it refuses even PING. Without a shared cache, the application's own is judged by caching.local.
    """
    if redis is not None:
        where = "unix socket" if redis.network == "unix" else f"{redis.host}:{redis.port}"
        if redis.not_ready:
            return failed(f"{where} refuses PING with {redis.not_ready}", observed=redis.not_ready, expected="PONG")
        return passed(f"{where} answers", observed="answers", expected="answers")
    word, kind = store_of(maybe(lambda: reported(service)))
    if kind in ("process", "disk"):
        place = "in its process" if kind == "process" else "on its disk"
        return not_applicable(f"the service keeps its cache {place} ({word}): no server to ask", store=word)
    return untested("set redis.url, or let the service report what holds its cache")
