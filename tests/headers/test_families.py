"""The smaller families of headers, each against its specification."""

from __future__ import annotations

import pytest

from readiness.headers import (
    caching,
    cookies,
    cors,
    disclosure,
    framing,
    gravest,
    hsts,
    permissions,
    rate_limit,
    referrer,
    sniffing,
    values,
)
from readiness.headers.base import Verdict, short
from readiness.model import Status

P, W, F = Status.PASS, Status.WARN, Status.FAIL


def test_header_lists() -> None:
    headers = [("A", " 1 "), ("b", "2"), ("a", "3")]
    assert values(headers, "A") == ["1", "3"]
    assert short("a\n b  c", 4) == "a b…"
    verdicts = [Verdict(str(status), status, "", "", "") for status in (P, F, W)]
    assert gravest(verdicts).status is F
    with pytest.raises(ValueError, match="no verdict"):
        gravest([])


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        ("max-age=31536000", hsts.Policy(31536000, False, False)),
        ("max-age=15768000 ; includeSubDomains", hsts.Policy(15768000, True, False)),
        ('max-age="31536000"', hsts.Policy(31536000, False, False)),
        ("MAX-AGE=1; IncludeSubdomains; PRELOAD", hsts.Policy(1, True, True)),
        ("; ;max-age=1;", hsts.Policy(1, False, False)),
        ("includeSubDomains", "max-age is missing"),
        ("max-age=1; max-age=2", "max-age appears twice"),
        ("max-age=-1", "max-age '-1' is no number of seconds"),
        ("max-age=1, includeSubDomains", "it breaks the grammar at ', includeSubDomains'"),
        ('max-age="1', "it breaks the grammar at '=\"1'"),
        ("", "max-age is missing"),
        ("max-age", "max-age is missing"),
    ],
)  # fmt: skip
def test_hsts_grammar(value: str, parsed: hsts.Policy | str) -> None:
    assert hsts.parse(value) == parsed


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ([], F), (["max-age=0"], F), (["nonsense"], F), (["max-age=300; includeSubDomains"], W),
        (["max-age=31536000"], W), (["max-age=63072000; includeSubDomains; preload"], P),
        (["max-age=31536000; includeSubDomains"] * 2, P),
        (["max-age=31536000; includeSubDomains", "max-age=0"], W), (["max-age=0", "max-age=31536000"], F),
    ],
)  # fmt: skip
def test_hsts(sent: list[str], status: Status) -> None:
    assert hsts.judge([("Strict-Transport-Security", value) for value in sent]).status is status


@pytest.mark.parametrize(
    ("sent", "status"),
    [([], F), (["nosniff"], P), (["NoSniff"], P), (["nosniff, nosniff"], P), (["x", "nosniff"], F), (["nosniff;"], F)],
)
def test_sniffing(sent: list[str], status: Status) -> None:
    assert sniffing.judge([("X-Content-Type-Options", value) for value in sent]).status is status


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ([], W), (["no-referrer"], P), (["SAME-ORIGIN"], P), (["unsafe-url"], F), (["origin"], W), (["none"], F),
        (["no-referrer-when-downgrade, strict-origin-when-cross-origin"], P), (["no-referrer", "unsafe-url"], F),
        (["no-referrer, invented"], P), ([""], W),
    ],
)  # fmt: skip
def test_referrer(sent: list[str], status: Status) -> None:
    assert referrer.judge([("Referrer-Policy", value) for value in sent]).status is status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], W), ([("Permissions-Policy", "camera=(), geolocation=(self)")], P),
        ([("Permissions-Policy", "camera=*")], W), ([("Permissions-Policy", "camera=(self *)")], W),
        ([("Permissions-Policy", "camera 'none'")], W), ([("Feature-Policy", "camera 'none'")], W),
        ([("Permissions-Policy", "autoplay=*")], P), ([("Permissions-Policy", "")], W),
        ([("Permissions-Policy", "camera=()"), ("Permissions-Policy", "usb=()")], P),
    ],
)  # fmt: skip
def test_permissions(headers: list[tuple[str, str]], status: Status) -> None:
    assert permissions.judge(headers).status is status


CSP, XFO = "content-security-policy", "x-frame-options"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], F), ([(XFO, "deny")], P), ([(XFO, "SAMEORIGIN, SAMEORIGIN")], P), ([(XFO, "DENY"), (XFO, "allowall")], W),
        ([(XFO, "ALLOW-FROM https://a.example")], F), ([(XFO, "allowall")], F),
        ([(CSP, "frame-ancestors 'none'")], P), ([(CSP, "frame-ancestors")], P),
        ([(CSP, "frame-ancestors https://a.example")], P), ([(CSP, "frame-ancestors *"), (XFO, "DENY")], F),
        ([(CSP, "frame-ancestors https:")], F), ([(CSP, "frame-ancestors *"), (CSP, "frame-ancestors 'self'")], P),
        ([(CSP, "default-src 'none'")], F), ([(CSP + "-report-only", "frame-ancestors 'none'")], F),
    ],
)  # fmt: skip
def test_framing(headers: list[tuple[str, str]], status: Status) -> None:
    assert framing.judge(headers).status is status


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("session=x; Secure; HttpOnly; SameSite=Lax", P), ("session=x; SECURE; httponly; samesite=STRICT", P),
        ("session=x; Secure; HttpOnly", W), ("session=x; Secure; HttpOnly; SameSite=Sideways", W),
        ("session=x; Secure; HttpOnly; SameSite=None", W), ("session=x; Secure; SameSite=Lax", F),
        ("session=x; HttpOnly; SameSite=Lax", F), ("lang=de", W), ("lang=de; Secure", P),
        ("theme=dark; SameSite=None", F), ("__Host-x=1; Secure; Path=/", P), ("__Host-x=1; Secure", F),
        ("__Host-x=1; Secure; Path=/; Domain=a.example", F), ("__host-x=1; Path=/", F), ("__Secure-x=1", F),
        ("a=" + "x" * 4096 + "; Secure", F), ("csrftoken=0a1b2c3d4e5f6g7h8i9j0a1b; Secure", P),
        ("visitor=0a1b2c3d4e5f6g7h8i9j0a1b; Secure", W), ("visitor=0a1b2c3d4e5f6g7h8i9j0a1b; Secure; HttpOnly", P),
        ("x=eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl; Secure", F),
        ("session=x; Secure; HttpOnly; SameSite=Lax; Domain=.example.com", W),
        ("session=x; Secure; HttpOnly; SameSite=Lax; Domain=shop.example.com", P),
    ],
)  # fmt: skip
def test_cookies(value: str, status: Status) -> None:
    cookie = cookies.parse(value)
    assert cookie is not None
    assert cookies.judge(cookie, https=True, host="shop.example.com").status is status
    # What is kept of a cookie is judged like the cookie itself.
    kept = cookies.parse(cookies.mask(value))
    assert kept is not None
    assert cookies.judge(kept, https=True, host="shop.example.com").status is status


def test_over_plain_http_no_browser_would_take_a_secure_cookie() -> None:
    cookie = cookies.parse("session=x; HttpOnly; SameSite=Lax")
    assert cookie is not None
    assert cookies.judge(cookie, https=False, host="h").status is P


@pytest.mark.parametrize(
    ("value", "deletes"),
    [
        ("a=; Max-Age=0", True), ("a=b; max-age=-1", True),
        ("a=b; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", False),
        ("a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT", True), ("a=b; Expires=Thu, 01-Jan-1970 00:00:00 GMT", True),
        ("a=b; Expires=Fri, 31 Dec 2100 00:00:00 GMT", False), ("a=b; Expires=soon", False), ("a=b", False),
        ("a=b; Expires=Thu, 99 Jan 99999999999 99:99:99 GMT", False),
    ],
)  # fmt: skip
def test_deleting_cookies(value: str, deletes: bool) -> None:
    cookie = cookies.parse(value)
    assert cookie is not None
    assert cookie.deletes(1_790_000_000) is deletes


def test_cookie_parsing() -> None:
    assert cookies.parse("; Secure") is None
    assert cookies.parse("=; Secure") is None
    nameless = cookies.parse("abc; Secure")
    assert nameless is not None
    assert (nameless.name, nameless.value) == ("", "abc")
    for name in ("AWSALB", "AWSALBCORS", "__cf_bm", "heroku-session-affinity", "BIGipServerpool"):
        assert cookies.INFRASTRUCTURE.match(name)
    assert not cookies.INFRASTRUCTURE.match("session")


def test_masking_hides_the_value_only() -> None:
    masked = cookies.mask("sid=Zm9vYmFyYmF6cXV4MTIzNDU2; Path=/; Expires=Fri, 31 Dec 2100 00:00:00 GMT")
    assert "Zm9v" not in masked
    assert masked.endswith("; Path=/; Expires=Fri, 31 Dec 2100 00:00:00 GMT")
    assert len(masked) == len("sid=Zm9vYmFyYmF6cXV4MTIzNDU2; Path=/; Expires=Fri, 31 Dec 2100 00:00:00 GMT")
    assert cookies.mask("lang=de; Path=/") == "lang=de; Path=/"


ALLOW, CREDENTIALS = "Access-Control-Allow-Origin", ("Access-Control-Allow-Credentials", "true")


@pytest.mark.parametrize(
    ("headers", "origin", "status"),
    [
        ([], "https://rdy.invalid", P), ([(ALLOW, "*")], "https://rdy.invalid", P),
        ([(ALLOW, "*"), CREDENTIALS], "null", W), ([(ALLOW, "https://rdy.invalid")], "https://rdy.invalid", W),
        ([(ALLOW, "https://rdy.invalid"), CREDENTIALS], "https://rdy.invalid", F),
        ([(ALLOW, "null"), CREDENTIALS], "null", F), ([(ALLOW, "null")], "https://rdy.invalid", W),
        ([(ALLOW, "null"), CREDENTIALS], "https://rdy.invalid", F),
        ([(ALLOW, "https://own.example"), CREDENTIALS], "https://rdy.invalid", P),
        ([(ALLOW, "*"), (ALLOW, "https://rdy.invalid"), CREDENTIALS], "https://rdy.invalid", W),
        ([(ALLOW, "https://rdy.invalid"), ("access-control-allow-credentials", "TRUE")], "https://rdy.invalid", W),
    ],
)  # fmt: skip
def test_cors(headers: list[tuple[str, str]], origin: str, status: Status) -> None:
    assert cors.judge(headers, origin).status is status


def test_cors_without_vary_says_so() -> None:
    echo = [(ALLOW, "https://rdy.invalid")]
    assert "Vary" in cors.judge(echo, "https://rdy.invalid").reason
    assert "Vary" not in cors.judge([*echo, ("vary", "Accept, ORIGIN")], "https://rdy.invalid").reason


CC = "Cache-Control"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(CC, "no-store")], P), ([(CC, "private, NO-STORE")], P), ([(CC, "private")], W), ([(CC, "no-cache")], W),
        ([], W), ([(CC, "max-age=60")], W), ([(CC, "public, max-age=60")], F), ([(CC, "s-maxage=60")], F),
        ([(CC, "no-store"), ("Age", "12")], F), ([(CC, "no-store"), ("Age", "0")], P), ([(CC, "no-store"),
        ("Age", "x")], P),
        ([(CC, "no-store"), ("X-Cache", "Hit from cloudfront")], F), ([(CC, "no-store"), ("X-Cache", "MISS")], P),
        ([(CC, "no-store"), ("Cache-Status", "edge; hit; ttl=5")], F), ([("CACHE-control", 'private="set-cookie"')], W),
    ],
)  # fmt: skip
def test_private_caching(headers: list[tuple[str, str]], status: Status) -> None:
    assert caching.judge_private(headers).status is status


def test_cache_control_numbers() -> None:
    control = caching.parse([(CC, 'max-age="60", s-maxage=soon')])
    assert control is not None
    assert (control.seconds("max-age"), control.seconds("s-maxage"), control.seconds("x")) == (60, 0, None)


@pytest.mark.parametrize(
    ("headers", "form", "limit", "remaining", "window"),
    [
        ([("RateLimit-Policy", '"burst";q=100;w=60,"day";q=1000;w=86400'), ("RateLimit", '"burst";r=50;t=30')],
         "draft-ietf-httpapi-ratelimit-headers", 100, 50, 60),
        ([("RateLimit", "limit=2, remaining=1, reset=60"), ("RateLimit-Policy", "2;w=60")], "draft-7", 2, 1, 60),
        ([("RateLimit-Limit", "10, 10;w=60"), ("RateLimit-Remaining", "9")], "draft-6", 10, 9, None),
        ([("X-RateLimit-Limit", "60"), ("X-RateLimit-Reset", "1790000060")], "x-ratelimit", 60, None, None),
        ([("X-Rate-Limit-Remaining", "many")], "x-ratelimit", None, None, None),
        ([("Retry-After", "3")], "retry-after", None, None, None),
        ([("x-envoy-ratelimited", "true")], "envoy", None, None, None),
    ],
)  # fmt: skip
def test_rate_limits(
    headers: list[tuple[str, str]], form: str, limit: int | None, remaining: int | None, window: int | None
) -> None:
    (found,) = rate_limit.find(headers)
    assert (found.form, found.limit, found.remaining, found.window_seconds) == (form, limit, remaining, window)


def test_what_is_no_rate_limit() -> None:
    assert rate_limit.find([]) == []
    assert rate_limit.find([("Retry-After", "3")], 503) == [], "an outage is no limit"
    assert rate_limit.find([("RateLimit", "é")]) == []
    assert rate_limit.find([], 429)[0].form == "429"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ([], "", P), ([("Server", "nginx")], "", P), ([("Server", "nginx/1.22.1")], "", W),
        ([("server", "WSGIServer/0.2 CPython/3.11.7")], "", W), ([("X-Powered-By", "Express")], "", P),
        ([("X-Powered-By", "PHP/8.2.7")], "", W), ([("X-AspNet-Version", "4.0.30319")], "", W),
        ([("Via", "1.1 varnish, HTTP/1.1 edge")], "", P), ([("Via", "1.1 varnish (Varnish/7.1)")], "", W),
        ([("X-Runtime", "0.012")], "", P), ([("Content-Type", "text/html; version=1.2")], "", P),
        ([("Server", "cloudflare")], "<hr><center>nginx/1.22.1</center>", W), ([], "<p>we like nginx/1.22.1</p>", P),
        ([], "<address>Apache/2.4.57 (Debian) Server</address>", W),
    ],
)  # fmt: skip
def test_disclosure(headers: list[tuple[str, str]], body: str, status: Status) -> None:
    assert disclosure.judge(headers, body).status is status
