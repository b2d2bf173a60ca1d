"""How the application's driver deals with several servers: where it reads, how it connects, how it watches them."""

from __future__ import annotations

from readiness.api import Finding, check, failed, maybe, not_applicable, passed, show, warn
from readiness.facts.mongodb import MongoFacts
from readiness.facts.mongodb_client import ClientOptionsFacts

from ._drivers import described, driver_of, effective
from ._members import GUIDE

STALENESS = "https://www.mongodb.com/docs/manual/core/read-preference-staleness/"


@check(
    id="database.client.read_preference",
    component="database",
    severity="info",
    effort="minutes",
    fix="Choose for each query where it may read; primaryPreferred in the URI, maxStalenessSeconds at 90 or more",
    reference="https://www.mongodb.com/docs/manual/core/read-preference/",
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i 'readPreference\\|maxStaleness'",
)
def read_preference(client: ClientOptionsFacts, mongo: MongoFacts | None, *, least_staleness: int = 90) -> Finding:
    """Reads have somewhere to go when one member is lost.

    For information: primary is the safe default, and the drivers find a new one by themselves. secondaryPreferred,
    which many recipes set for the whole client, reads data that may be stale and adds no capacity that a set may count
    on while it must be able to lose a member. secondary alone fails when no secondary is left. Less than 90 seconds of
    maxStalenessSeconds is taken when the URI is parsed and refused with the first read.
    """
    topology = maybe(lambda: mongo.topology) if mongo is not None else None
    if topology == "standalone":
        return not_applicable("a standalone server is all there is to read from", topology=topology)
    chosen, staleness = client.read_preference or "primary", client.max_staleness_seconds
    observed = chosen + (f", maxStalenessSeconds {staleness}" if staleness is not None else "")
    expected = f"primary, or one that leaves a choice; maxStalenessSeconds of at least {least_staleness} ({STALENESS})"
    if staleness is not None and 0 <= staleness < least_staleness:
        message = f"maxStalenessSeconds={staleness} is below {least_staleness}: the driver refuses every read"
        return failed(message, observed=observed, expected=expected)
    if staleness is not None and staleness > 0 and chosen == "primary":
        message = "maxStalenessSeconds with primary: the driver refuses every read"
        return failed(message, observed=observed, expected=expected)
    if chosen == "secondary":
        return warn("reads fail when no secondary is left", observed=observed, expected=expected)
    stale = {"secondaryPreferred": ": reads may be stale", "nearest": ": reads may be stale"}.get(chosen, "")
    return passed(f"the read preference is {chosen}{stale}", observed=observed, expected=expected)


@check(
    id="database.client.max_connecting",
    component="database",
    severity="info",
    effort="minutes",
    fix="Remove maxConnecting from the URI; raise it only where cold starts are measured to be too slow",
    reference=GUIDE,
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i 'maxConnecting'",
    verdicts=("pass", "warn"),
)
def max_connecting(
    client: ClientOptionsFacts, mongo: MongoFacts | None, *, at_least: int = 2, at_most: int = 10
) -> Finding:
    """The application does not open all its connections at the same moment.

    Each new connection costs the server a TLS handshake and a login of some milliseconds of CPU; after a failover all
    clients open theirs at once. Drivers open two at a time for each server. Common recipes raise that to 10; MongoDB's
    guide keeps the default, because it is what prevents the stampede, so this is for information only.
    """
    driver = driver_of(client, mongo)
    value = effective(client.max_connecting, driver, "max_connecting") or at_least
    observed = described(client, "maxConnecting", client.max_connecting, driver, "max_connecting")
    expected = f"{at_least} to {at_most}; MongoDB's guide keeps {at_least} ({GUIDE})"
    if client.max_connecting is None:
        return passed(f"maxConnecting has its default of {value}", observed=observed, expected=expected)
    if not at_least <= client.max_connecting <= at_most:
        return warn(f"maxConnecting is {value}", observed=observed, expected=expected)
    more = f": MongoDB's guide keeps {at_least}, unless cold starts are slow" if value > at_least else ""
    return passed(f"maxConnecting is {value}{more}", observed=observed, expected=expected)


@check(
    id="database.client.heartbeat",
    component="database",
    severity="info",
    effort="minutes",
    fix="Remove heartbeatFrequencyMS from the URI: the default of 10000 is right",
    reference="https://www.mongodb.com/docs/manual/reference/connection-string-options/#mongodb-urioption-urioption.heartbeatFrequencyMS",
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i 'heartbeatFrequencyMS'",
    verdicts=("pass", "warn"),
)
def heartbeat(
    client: ClientOptionsFacts, mongo: MongoFacts | None, *, at_least: int = 500, at_most: int = 30_000
) -> Finding:
    """The driver soon notices a failover.

    It looks after every server each ten seconds by default. Since 4.4 servers tell drivers of a change at once, so that
    a longer interval matters little; drivers refuse less than 500 ms. PHP, which has no thread for it, looks once a
    minute.
    """
    driver = driver_of(client, mongo)
    value = effective(client.heartbeat_ms, driver, "heartbeat_ms")
    observed = described(client, "heartbeatFrequencyMS", client.heartbeat_ms, driver, "heartbeat_ms")
    expected = f"{at_least} to {at_most} ms"
    if value is None:
        return passed("heartbeatFrequencyMS has the driver's default", observed=observed, expected=expected)
    verdict = passed if at_least <= value <= at_most else warn
    return verdict(f"heartbeatFrequencyMS is {show(value, 'ms')}", observed=observed, expected=expected)
