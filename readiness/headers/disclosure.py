"""Headers that tell which software answered; a version number tells an attacker which flaws to try."""

from __future__ import annotations

import re

from readiness.headers.base import Headers, Verdict, short
from readiness.model import Status

NAMES = frozenset(
    (
        "server", "via", "x-powered-by", "x-powered-by-plesk", "x-powered-cms", "x-aspnet-version",
        "x-aspnetmvc-version", "x-generator", "x-runtime", "x-version", "x-app-version", "x-api-version",
        "x-framework", "x-server", "x-server-name", "x-php-version", "x-drupal-version", "x-litespeed-tag",
        "x-mod-pagespeed", "x-page-speed", "x-owa-version", "x-jenkins", "x-nginx-version", "x-varnish-backend",
        "x-cms", "x-content-encoded-by", "x-envoy-upstream-version", "x-backend-version", "liferay-portal",
        "microsoftofficewebserver", "microsoftsharepointteamservices", "oracle-application-server",
        "x-oracle-dms-rid", "product", "servlet-engine",
    )
)  # fmt: skip
_VERSION = re.compile(r"(?<![\w.])v?\d+\.\d+(\.\d+)*\w*")
_NOT_PRODUCTS = ("x-runtime", "x-api-version")
"""`x-runtime: 0.012` is a duration, and the version of an interface is public."""
_BODY = re.compile(
    r"<(?:center|address|h1|title|hr)[^<>]{0,80}>\s{0,20}"
    r"((?:nginx|openresty|Apache|Apache Tomcat|Jetty|lighttpd|Caddy|Werkzeug)/\d+(?:\.\d+)+)",
    re.IGNORECASE,
)


def judge(headers: Headers, body: str = "") -> Verdict:
    """Warns at a version number in a header, or in the banner of an error page."""
    expected = "no version numbers in headers or error pages"
    named = [(name, value) for name, value in headers if name.lower() in NAMES]
    for name, value in named:
        if name.lower() in _NOT_PRODUCTS:
            continue
        # Via begins with the version of the protocol, which is no secret.
        text = re.sub(r"(^|,)\s*(HTTP/)?\d(\.\d)?\s", " ", value) if name.lower() == "via" else value
        if _VERSION.search(text):
            shown = short(f"{name}: {value}")
            return Verdict("leak.version", Status.WARN, f"{shown} tells a version", shown, expected)
    if banner := _BODY.search(body):
        return Verdict("leak.version", Status.WARN, f"the page names {short(banner[1])}", short(banner[1]), expected)
    products = short(", ".join(f"{name}: {value}" for name, value in named)) or "no such header"
    return Verdict("leak.version", Status.PASS, "no version is told", products, expected)


def judge_sources(headers: Headers) -> Verdict:
    """Warns at a header that leads to the source map, and with it to the sources, of a script."""
    sent = [f"{name}: {short(value, 40)}" for name, value in headers if name.lower() in ("sourcemap", "x-sourcemap")]
    expected = "no source map of a production build"
    if sent:
        return Verdict("leak.source_map", Status.WARN, f"{sent[0]} leads to the sources", sent[0], expected)
    return Verdict("leak.source_map", Status.PASS, "no source map is named", "no such header", expected)
