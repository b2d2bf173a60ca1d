"""The addresses of this audit in place of those placeholders with which checks write their commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from readiness.settings import Settings

# What a shell, a template or a reader could take for anything but an address stays a placeholder.
_PLAIN = re.compile(r"[A-Za-z0-9./:_~+%\[\]-]{1,300}( [0-9]{1,5})?")
_PORTS = {"http": 80, "https": 443}


def addresses(settings: Settings, component: str) -> Mapping[str, str]:
    """What stands for which placeholder in the commands of a component; what is not configured is left out.

    Never the address of a database or a cache, which comes with credentials: commands take it from the environment. A
    bare HOST in the commands of those components is theirs.
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
    store = component in ("database", "caching")
    return {
        placeholder: text
        for placeholder, text in found.items()
        if _PLAIN.fullmatch(text) and (not store or placeholder.endswith("://HOST"))
    }


def _service(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.netloc}"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = parts.port or _PORTS.get(parts.scheme, 443)
    return {
        "https://HOST": base,
        "http://HOST": f"http://{host}",
        "HOST:PORT": f"{host}:{port}",
        "HOST:443": f"{host}:{port}",
        "HOST 80": f"{host} {port}",
        "HOST": host,
        "$URL": base,
    }


def filled(text: str, known: Mapping[str, str]) -> str:
    """`text` with every placeholder that is known replaced; longer ones first, each where it stands alone."""
    if not known:
        return text
    alternatives = "|".join(re.escape(name) for name in sorted(known, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{alternatives})(?!\w)", lambda match: known[match[0]], text)
