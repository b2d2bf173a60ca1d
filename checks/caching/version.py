"""Whether security fixes still arrive, and the known holes are closed."""

from __future__ import annotations

import datetime as dt
from typing import Any

from readiness.api import Finding, check, failed, maybe, not_applicable, passed, warn
from readiness.facts.redis import RedisFacts

from ._tables import AS_OF, ELASTICACHE, END_OF_LIFE, VULNERABILITIES, distribution, numbers, vulnerable

_PACKAGE = "apt-get update && apt-get install --only-upgrade redis-server"
_UPGRADE = f"docker pull valkey/valkey:9.0  # in a container; where it is a package of Debian or Ubuntu:\n{_PACKAGE}"
_CHANGES = "zgrep -m1 CVE-2025-49844 /usr/share/doc/redis-server/changelog.Debian.gz  # patched already?"


@check(
    id="caching.version.eol",
    component="caching",
    severity="high",
    requires="caching.reach.connect",
    privilege="+info",
    fix=f"{_UPGRADE}  # replica first, then fail over, then the old primary",
    effort="days",
    reference="https://endoflife.date/redis",
    verify="redis-cli -u $REDIS_URL INFO server | grep version",
)
def end_of_life(redis: RedisFacts, *, warn_days: int = 180) -> Finding:
    """The release series still gets security fixes.

    Valkey is judged by its own version: the redis_version that it reports stays at 7.2.4. Distributions backport fixes
    into releases that upstream has left behind, so a build that looks like theirs is a warning. Dates as of 2026-08-22.
    """
    name, text = redis.server.name, redis.server.version
    version = numbers(text)
    table = END_OF_LIFE.get(name)
    if table is None:
        return not_applicable(f"no support dates are published for {name}", server=name, version=text)
    expected = f"supported for {warn_days} more days"
    if version is None:
        return warn("the version cannot be read", observed=text or "empty", expected=expected)
    series, today = version[:2], dt.datetime.fromtimestamp(redis.now, dt.UTC).date()
    shown = f"{name.capitalize()} {text}"
    more: dict[str, Any] = {"observed": text, "expected": expected, "evidence": {"table": AS_OF.isoformat()}}
    if redis.provider == "ElastiCache" and version[0] in ELASTICACHE:
        ends: dt.date | None = ELASTICACHE[version[0]]
    elif series in table:
        ends = table[series]
    elif series > max(table):
        return passed(f"{shown} is newer than the table of {AS_OF}", **more)
    else:
        return failed(f"{shown} is of no series that gets fixes", **more)
    if ends is None:
        return passed(f"{shown} is supported, with no end announced", **more)
    days = (ends - today).days
    if days > warn_days:
        return passed(f"{shown} is supported until {ends}", **more)
    if days >= 0:
        return warn(f"{shown} is supported for {days} more days, until {ends}", **more)
    if package := _package(redis):
        return warn(f"{shown}: upstream support has ended; do {package} still patch it?", fix=_PACKAGE, **more)
    return failed(f"{shown}: support ended by {ends}", **more)


@check(
    id="caching.version.cve",
    component="caching",
    severity="high",
    requires="caching.reach.connect",
    privilege="+info",
    fix=f"{_UPGRADE}  # until then: ACL SETUSER app -@scripting",
    effort="days",
    reference="https://www.cve.org/CVERecord?id=CVE-2025-49844",
    verify="redis-cli -u $REDIS_URL INFO server | grep version",
)
def vulnerabilities(redis: RedisFacts) -> Finding:
    """No release with a known way to run code on the host.

    CVE-2025-49844 needs an account that may run scripts. Distributions fix it without a new number: where the build
    looks like theirs, look at the package's version.
    """
    if redis.provider:
        return not_applicable(f"{redis.provider} patches its servers", host=redis.host)
    name, text = redis.server.name, redis.server.version
    version = numbers(text)
    known = [flaw for flaw in VULNERABILITIES if name in flaw.fixed]
    if not known:
        return not_applicable(f"the table has no entries for {name}", server=name, version=text)
    expected = "a release with the fix"
    if version is None:
        return warn("the version cannot be read", observed=text or "empty", expected=expected)
    open_flaws = [flaw for flaw in known if vulnerable(flaw, name, version)]
    shown = f"{name.capitalize()} {text}"
    more: dict[str, Any] = {"observed": text, "expected": expected}
    if not open_flaws:
        return passed(f"{shown} has the fixes for {', '.join(flaw.cve for flaw in known)}", **more)
    flaw = open_flaws[0]
    if package := _package(redis):
        message = f"{shown} lacks the fix for {flaw.cve}, unless the package has it ({package})"
        return warn(message, fix=f"{_PACKAGE}\n{_CHANGES}", **more)
    return failed(f"{shown}: {flaw.cve}, {flaw.summary}", **more)


def _package(redis: RedisFacts) -> str:
    server = redis.server
    executable, allocator = maybe(lambda: server.executable) or "", maybe(lambda: server.allocator) or ""
    return distribution(server.name, server.version, executable, allocator)
