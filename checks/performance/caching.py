"""What is not sent, or not computed, a second time."""

from __future__ import annotations

from dataclasses import replace

from readiness.api import (
    Absences,
    Expectations,
    Finding,
    check,
    failed,
    maybe,
    not_applicable,
    passed,
    scaled,
    show,
    untested,
    warn,
    worst,
)
from readiness.facts.delivery import DeliveryFacts, Reply, Resource
from readiness.facts.edge import hit, product
from readiness.facts.http import HttpFacts
from readiness.facts.redis import IDLE, RedisFacts
from readiness.facts.service import ServiceFacts

from . import _fixes
from ._delivery import nothing, place, successful
from ._endpoints import name

DAY = 86_400


@check(
    id="performance.cache.hit_rate",
    component="performance",
    severity="medium",
    phase=2,
    item="Caching Strategy",
    expectation="cache_hit_rate",
    effort="days",
    fix="Cache what the slow endpoints compute, give entries a longer time to live, and warm the cache at deployment",
    verify="redis-cli -u $REDIS_URL INFO stats | grep keyspace_  # twice: hits over lookups in between",
    reference="https://valkey.io/commands/info/",
)
def hit_rate(
    redis: RedisFacts | None,
    service: ServiceFacts | None,
    absences: Absences,
    expectations: Expectations,
    *,
    none_below: float = 0.80,
) -> Finding:
    """The cache answers most lookups.

    From the server's counters over the quiet window, or, where there is none or too little traffic, from what the
    application says of its own cache. Full credit at expectations.cache_hit_rate, none at 80 %.
    """
    good = expectations.cache_hit_rate

    def judge(rate: float, what: str) -> Finding:
        return scaled(rate, good=good, bad=min(none_below, good - 0.05), what=what, unit="%", measured=rate)

    shared = redis if redis is not None and redis.role == "cache" else None
    if shared is not None and (rate := maybe(lambda: shared.hit_rate)) is not None:
        return judge(rate, "hit rate")
    if service is not None and (rate := maybe(lambda: service.cache.hit_rate)) is not None:
        return judge(rate, "hit rate of the application's own cache")
    if shared is not None:
        if (lookups := maybe(lambda: shared.lookups)) is not None and lookups < IDLE:
            return untested(f"{lookups} lookups in the window: audit under traffic, or raise limits.window_seconds")
        return judge(shared.hit_rate, "hit rate")
    if redis is not None:
        return not_applicable(f"declared a {redis.role}: a lookup that finds nothing is no miss", role=redis.role)
    assert service is not None  # the engine calls no check without any facts
    answering = service.reached()
    if maybe(lambda: answering.cache) is None:
        if absences.caching:
            return not_applicable(f"declared absent: {absences.caching}", caching=absences.caching)
        return untested("set redis.url, or let the service's health or metrics report its cache")
    return judge(answering.cache.hit_rate, "hit rate of the application's own cache")


_AGAIN = "curl -si -H \"If-None-Match: $(curl -sI $URL | sed -n 's/^etag: //ip' | tr -d '\\r')\" $URL | head -1"


@check(
    id="performance.caching.validators",
    component="performance",
    severity="low",
    effort="hours",
    fixes=_fixes.VALIDATORS,
    verify=_AGAIN,
    reference="https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2",
)
def validators(delivery: DeliveryFacts) -> Finding:
    """What has not changed is not sent again.

    Answers that may be stored are asked for again with the validator that came with them: the answer should be 304 and
    empty. Answers marked no-store are left alone, and so are those whose validator changed in between.
    """
    answered = successful(delivery)
    if not answered:
        return nothing(delivery)
    findings = {
        name(each.path): replace(finding, verify=_AGAIN.replace("$URL", place(delivery, each)))
        for each in answered
        if (finding := _revalidated(each)) is not None
    }
    if findings:
        return worst(findings, what="answers")
    return not_applicable(
        "no answer may be stored, or all of them change every time", answers=[each.path for each in answered]
    )


def _revalidated(resource: Resource) -> Finding | None:
    plain, again = resource.plain, resource.revalidated
    if "no-store" in plain.directives:
        return None
    expected = "ETag or Last-Modified, then 304"
    if again is None:
        if plain.header("etag") or plain.header("last-modified"):
            return None  # beyond the first few resources
        stored = resource.kind == "asset" or _max_age(plain) > 0
        verdict = failed if stored and "immutable" not in plain.directives else warn
        return verdict("neither ETag nor Last-Modified", observed="no validator", expected=expected)
    if again.status == 304:
        return passed("revalidated with 304", observed="304", expected=expected)
    if any(plain.header(validator) != again.header(validator) for validator in ("etag", "last-modified")):
        return None
    message = f"the same validator came back, but with {again.status} and {again.size:,} bytes"
    return warn(message, observed=str(again.status), expected=expected)


def _max_age(reply: Reply) -> int:
    directives = reply.directives
    values = [directives[each] for each in ("max-age", "s-maxage") if directives.get(each, "").isdecimal()]
    return max((int(value[:12]) for value in values), default=0)


@check(
    id="performance.caching.static",
    component="performance",
    severity="medium",
    effort="minutes",
    fixes=_fixes.STATIC,
    verify="curl -sI $URL/assets/app.js | grep -i cache-control",
    reference="https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.1",
)
def static(delivery: DeliveryFacts, http: HttpFacts, *, least_seconds: int = DAY) -> Finding:
    """Static assets may be cached for a day or longer.

    The first script and style sheet that the page names. An asset whose name carries a hash of its content never
    changes, and can be kept for a year as immutable; without a lifetime every visit asks for every file again.
    """
    if finding := _no_assets(delivery, http):
        return finding
    findings = {name(each.path): _lifetime(each, least_seconds) for each in delivery.of("asset")}
    return worst(findings, what="assets")


def _lifetime(asset: Resource, least: int) -> Finding:
    reply = asset.plain
    directives, seconds = reply.directives, _max_age(reply)
    expected = f"max-age of {least} s or more"
    if "no-store" in directives:
        return failed("no-store: sent again for every page", observed="no-store", expected=expected)
    if seconds >= least:
        return passed(f"max-age {seconds:,} s", observed=f"{seconds:,} s", expected=expected)
    what = ", its name carries a hash" if asset.hashed else ""
    if directives or reply.header("expires"):
        shown = reply.header("cache-control")[:60] or "Expires only"
        return warn(f"cached for less than a day ({shown}){what}", observed=shown, expected=expected)
    return failed(f"no Cache-Control{what}", observed="none", expected=expected)


@check(
    id="performance.cdn",
    component="performance",
    severity="low",
    phase=2,
    item="CDN Integration",
    effort="days",
    fix="Put a CDN in front of the static assets, and let it keep them: Cache-Control: public, max-age=31536000",
    fixes=_fixes.CDN,
    verify="for i in 1 2; do curl -sI $URL/assets/app.js | grep -i 'age\\|cache\\|via\\|x-served-by'; done",
    reference="https://www.rfc-editor.org/rfc/rfc9211",
)
def cdn(delivery: DeliveryFacts, http: HttpFacts) -> Finding:
    """Static assets come from an edge cache.

    An asset was asked for twice; the headers of the second answer tell whether a cache had it. A shared cache next to
    the application looks the same as a far edge, so the report names what was seen.
    """
    if finding := _no_assets(delivery, http):
        return finding
    second = delivery.repeated
    first = delivery.of("asset")[0].plain
    expected = "a HIT on the second request"
    seen = product(second) or product(first)
    evidence = {"asset": second.path, "headers": dict(second.headers)}
    if seen and hit(second):
        return passed(f"{seen}: HIT", observed=f"{seen} HIT", expected=expected, evidence=evidence)
    if seen:
        message = f"{seen} is in front, but the second request of {name(second.path)} was no hit"
        return warn(message, observed=f"{seen}, no HIT", expected=expected, evidence=evidence)
    elsewhere = [host for host in delivery.foreign if "cdn" in host or "static" in host or "assets" in host]
    if elsewhere:
        message = f"some assets come from {elsewhere[0][:60]}, which was not contacted"
        return warn(message, observed="another host", expected=expected, evidence={"hosts": dict(delivery.foreign)})
    return failed("no sign of a cache in front of the assets", observed="none", expected=expected, evidence=evidence)


def _no_assets(delivery: DeliveryFacts, http: HttpFacts) -> Finding | None:
    """Why the checks of static assets do not apply, or None."""
    if not delivery.page:
        if not successful(delivery):
            return nothing(delivery)
        what = delivery.media_type or f"status {delivery.resources[0].status}"
        return not_applicable(f"the base URL is no page ({what}), so there are no static assets", media_type=what)
    if http.profile == "internal":
        return not_applicable("an internal service: its pages are not for the public", profile=http.profile)
    if not delivery.assets:
        hosts = ", ".join(delivery.foreign) or "none"
        return not_applicable("the page names no assets of its own origin", other_hosts=show(hosts))
    return None
