"""The addresses of this audit in place of those placeholders with which checks write their commands."""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from pydantic import SecretStr

from readiness.facts.base import Facts, maybe
from readiness.facts.collected import Collected
from readiness.facts.delivery import DeliveryFacts
from readiness.facts.service import ServiceFacts
from readiness.settings import Settings

F = TypeVar("F", bound=Facts)

# What a shell, a template or a reader could take for anything but an address stays a placeholder.
_PLAIN = re.compile(r"(-h [A-Za-z0-9.:_-]{1,300} -p|[A-Za-z0-9./:_~+%\[\]-]{1,300})( [0-9]{1,5})?")
# A certificate is for a name.
_NAMED = {"-d HOST": "-d example.com", "live/HOST": "live/example.com"}
_PORTS = {"http": 80, "https": 443}


def addresses(settings: Settings, component: str, observed: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """What stands for which placeholder in the commands of a component; what is not configured is left out.

    `observed` are the addresses that the audit came upon, which replace the usual ones.

    Of a database or a cache no more than host and port: the whole address comes with credentials, so commands take it
    from the environment. A bare HOST in the commands of those components is theirs.
    """
    found = {
        "http://PROMETHEUS:9090": (settings.prometheus.url or "").rstrip("/"),
        "http://ALERTMANAGER:9093": (settings.prometheus.alertmanager or "").rstrip("/"),
    }
    if settings.http.url:
        found |= _service(settings.http.url)
        for name, paths in (
            ("PROTECTED", settings.http.protected),
            ("WRITABLE", settings.http.writable),
            ("ENDPOINT", settings.http.endpoints),
        ):
            found[name] = paths[0][1:] if paths else ""
        base = found["https://HOST"]
        found |= {name: base + at if at.startswith("/") else at for name, at in (observed or {}).items()}
    if component in ("database", "caching"):
        found = {placeholder: text for placeholder, text in found.items() if placeholder.startswith(("http", "$URL"))}
        found |= _stores(settings)
    known = {placeholder: text for placeholder, text in found.items() if _PLAIN.fullmatch(text)}
    if _no_name(known.get("HOST", "")):
        known |= _NAMED
    return known


def _service(url: str) -> dict[str, str]:
    """Paths are asked for below the base URL's own; what speaks another protocol belongs to the origin."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    base = origin + parts.path.rstrip("/")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = parts.port or _PORTS.get(parts.scheme, 443)
    return {
        "https://HOST": base,
        "https://HOST/.well-known": f"{origin}/.well-known",
        "http://HOST": f"http://{host}",
        "HOST:PORT": f"{host}:{port}",
        "HOST:443": f"{host}:{port}",
        "HOST 80": f"{host} {port}",
        "HOST": host,
        "$URL": base,
    }


def observed(collected: Mapping[str, Collected]) -> dict[str, str]:
    """Where health, metrics and the first asset of the service really are, by the placeholder of the usual place.

    `collected` is by the name of the facts. A path is below the base URL's own.
    """
    found: dict[str, str] = {}
    service, delivery = (_facts(collected, kind) for kind in (ServiceFacts, DeliveryFacts))
    if service is not None:
        by_kind = {health.kind: health.exchange.url for health in reversed(maybe(lambda: service.health) or ())}
        if ready := by_kind.get("readiness") or by_kind.get("general") or next(iter(by_kind.values()), ""):
            found["https://HOST/health/ready"] = ready
            found["https://HOST/health"] = by_kind.get("general", ready)
        found["https://HOST/health/live"] = by_kind.get("liveness", "/health/live")
        if maybe(lambda: service.metrics.state) == "parsed":
            found["https://HOST/metrics"] = service.metrics.path
    if delivery is not None and (assets := delivery.of("asset")):
        found["$URL/assets/app.js"] = urljoin(delivery.url, assets[0].path)
    return found


def _facts(collected: Mapping[str, Collected], kind: type[F]) -> F | None:
    entry = collected.get(kind.__name__)
    return entry.facts if entry is not None and isinstance(entry.facts, kind) else None


def _stores(settings: Settings) -> dict[str, str]:
    host, port = _server(settings.redis.url, "6379")
    found = {"HOST:6379": f"{host}:{port}", "-h HOST -p 6379": f"-h {host.strip('[]')} -p {port}"} if host else {}
    host, port = _server(settings.mongodb.uri, "27017")
    return found | ({"HOST:27017": f"{host}:{port}"} if host else {})


def _server(url: SecretStr | None, port: str) -> tuple[str, str]:
    """Host and port of the first server that a store's URL names, or nothing where that might be part of a secret."""
    scheme, _, rest = url.get_secret_value().partition("://") if url is not None else ("", "", "")
    named = re.split(r"[/?#]", rest, maxsplit=1)
    address = named[0].rpartition("@")[2].split(",")[0]
    found = re.fullmatch(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?", address)
    if found is None or scheme.endswith("+srv") or "@" in "".join(named[1:]):
        return "", ""
    return found[1], found[2] or port


def _no_name(host: str) -> bool:
    """Whether nobody issues a certificate for it."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host == "localhost"
    return True


def trusting(text: str, settings: Settings) -> str:
    """`text` in which curl verifies the service's certificate by `http.ca_file`, as the audit does."""
    url, file = settings.http.url or "", str(settings.http.ca_file or "")
    if not url.startswith("https://") or not file.isprintable() or not file:
        return text
    origin = re.escape(f"https://{urlsplit(url).netloc}")
    option = f"curl --cacert {shlex.quote(file)} "
    return re.sub(rf"(?<![\w-])curl (?=[^|\n]*{origin})", lambda _: option, text)


def filled(text: str, known: Mapping[str, str]) -> str:
    """`text` with every placeholder that is known replaced; longer ones first, each where it stands alone."""
    if not known:
        return text
    alternatives = "|".join(re.escape(name) for name in sorted(known, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{alternatives})(?!\w)", lambda match: known[match[0]], text)
