"""How connections are made, kept, and shared."""

from __future__ import annotations

from readiness.api import (
    FactMissing,
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
)
from readiness.facts.delivery import DeliveryFacts
from readiness.facts.http import HttpFacts
from readiness.facts.load import LatencyFacts

from . import _fixes


@check(
    id="performance.connect",
    component="performance",
    severity="low",
    effort="days",
    fix="Serve from a region near the users or through a CDN; resume TLS sessions; check the listen backlog",
    verify="curl -s -o /dev/null -w 'tcp %{time_connect} tls %{time_appconnect}\\n' $URL",
    reference="https://www.rfc-editor.org/rfc/rfc8446",
)
def connect(latency: LatencyFacts, *, good: float = 50, bad: float = 200) -> Finding:
    """New connections are established quickly.

    TCP connect and TLS handshake, each the median of connections opened one by one; the slower of the two decides. It
    depends on where the audit runs: far from the service it measures the distance, near it an overloaded server.
    """
    times = {"TCP connect": latency.connect_ms}
    if latency.https:
        times["TLS handshake"] = latency.tls_ms
    slower = max(times, key=lambda each: times[each])
    evidence = {each: show(value, "ms") for each, value in times.items()}
    return scaled(times[slower], good=good, bad=bad, what=slower, unit="ms", evidence=evidence)


@check(
    id="performance.keepalive",
    component="performance",
    severity="medium",
    effort="hours",
    fixes=_fixes.KEEPALIVE,
    verify="curl -sv -o /dev/null -o /dev/null $URL $URL 2>&1 | grep -i 're-using\\|closing'",
    reference="https://www.rfc-editor.org/rfc/rfc9112#section-9.3",
)
def keepalive(latency: LatencyFacts, *, few: int = 10) -> Finding:
    """Connections serve many requests.

    A new connection costs a round trip, with TLS two or three, and a port. Servers with one synchronous worker and
    proxies that speak HTTP/1.0 to their upstream close after every answer. Ten answers without a closed connection, or
    fewer, prove nothing.
    """
    answered = sum(endpoint.answered for endpoint in latency.endpoints)
    closed = sum(endpoint.closed for endpoint in latency.endpoints)
    if not answered:
        _ = latency.endpoints[0].timing.mean_ms  # says why there was no answer
    expected = f"more than {few} requests a connection"
    if not closed and answered <= few:
        kinds = {kind: count for each in latency.endpoints for kind, count in each.answers.items()}
        reason = f"{answered} answer{'s'[: answered != 1]} ({', '.join(kinds)}) cannot show it"
        if not kinds.keys() <= {"2xx", "3xx", "4xx"}:
            raise FactMissing("kept connections", reason)
        return untested(f"{reason}: name paths in http.endpoints that GET finds")
    if not closed:
        return passed(f"no connection closed after {answered} answers", observed="0 closed", expected=expected)
    each = answered / closed
    message = f"the server closed the connection after {closed} of {answered} answers"
    verdict = failed if closed >= answered else warn if each <= few else passed
    return verdict(message, observed=f"{each:.3g} requests a connection", expected=expected)


@check(
    id="performance.http2",
    component="performance",
    severity="low",
    effort="minutes",
    fixes=_fixes.HTTP2,
    verify="curl -sI --http2 -o /dev/null -w '%{http_version}\\n' $URL",
    reference="https://www.rfc-editor.org/rfc/rfc9113",
    verdicts=("pass", "warn"),
)
def http2(delivery: DeliveryFacts, http: HttpFacts) -> Finding:
    """The public name speaks HTTP/2.

    Browsers open six connections a name with HTTP/1.1, and every further request waits. Over one HTTP/2 connection they
    all go out at once. Between services it matters little, and without TLS no browser uses it.
    """
    if not delivery.https:
        return not_applicable("plain HTTP: browsers use HTTP/2 over TLS only", url=delivery.url)
    if http.profile == "internal":
        return not_applicable("an internal service: HTTP/2 pays between browsers and the edge", profile=http.profile)
    services = " ".join(_alternatives(delivery))
    evidence = {"alpn": delivery.alpn or "none", "alt-svc": services or "none"}
    expected = "ALPN h2"
    if delivery.alpn == "h2":
        message = "TLS chooses h2" + (", and HTTP/3 is advertised" if "h3" in services else "")
        return passed(message, observed="h2", expected=expected, evidence=evidence)
    chosen = delivery.alpn or "no protocol"
    return warn(f"TLS chooses {chosen} although h2 was offered", observed=chosen, expected=expected, evidence=evidence)


def _alternatives(delivery: DeliveryFacts) -> list[str]:
    replies = [maybe(lambda r=resource: r.plain) for resource in delivery.resources]  # type: ignore[misc]
    return sorted({reply.header("alt-svc") for reply in replies if reply is not None and reply.header("alt-svc")})


PROCESS = "health pid"


@check(
    id="performance.load_balancing",
    component="performance",
    severity="medium",
    phase=2,
    item="Load Balancing",
    effort="days",
    fix="Run two instances or more behind a balancer, and let each name itself: X-Instance-Id: $HOSTNAME",
    fixes=_fixes.LOAD_BALANCING,
    verify="for i in $(seq 12); do curl -si $URL | grep -i '^x-instance-id\\|^x-served-by\\|^set-cookie'; done",
    reference="https://sre.google/sre-book/load-balancing-datacenter/",
)
def load_balancing(delivery: DeliveryFacts) -> Finding:
    """More than one instance answers.

    Every answer came over a connection of its own; instances were told apart by response headers, sticky cookies and
    the fields of the health answer. Balancers below HTTP leave no trace: answers that name no instance prove nothing.
    """
    named = {source: names for source, names in delivery.instances.items() if source != PROCESS}
    processes = delivery.instances.get(PROCESS, ())
    signs = list(delivery.balancers)
    evidence = {"answers": delivery.answers, "instances": dict(delivery.instances), "balancer": signs}
    expected = "2 instances or more"
    source = max(named, key=lambda each: len(named[each]), default="")
    count = len(named.get(source, ()))
    if count > 1:
        message = f"{count} instances answered {delivery.answers} requests ({source})"
        return passed(message, observed=f"{count} instances", expected=expected, evidence=evidence)
    if delivery.addresses > 1:
        signs.append(f"{delivery.addresses} addresses")
    if len(processes) > 1:
        message = f"{len(processes)} processes answered, but they may share one host"
        return warn(message, observed=f"{len(processes)} processes", expected=expected, evidence=evidence)
    if signs:
        seen = "1 instance" if source else "no instance names itself"
        return warn(f"behind a balancer ({signs[0]}), but {seen}", observed=seen, expected=expected, evidence=evidence)
    if source or processes:
        message = f"all {delivery.answers} answers came from one instance ({source or PROCESS})"
        return failed(message, observed="1 instance", expected=expected, evidence=evidence)
    return untested(f"none of {delivery.answers} answers names its instance: send X-Instance-Id, or hostname in health")
