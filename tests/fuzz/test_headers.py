"""The header engine: whatever an answer says of itself, every rule comes to one verdict, soon, and always the same."""

from __future__ import annotations

import time

from hypothesis import example
from hypothesis import strategies as st

from readiness.headers import Profile, evaluate
from readiness.model import Status

from .fuzzing import HOSTILE, fuzzed

NAMES = (
    "Content-Security-Policy", "Content-Security-Policy-Report-Only", "Strict-Transport-Security", "Set-Cookie",
    "X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy", "Permissions-Policy", "Feature-Policy",
    "Cache-Control", "Pragma", "Expires", "Age", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
    "Vary", "Server", "Via", "X-Powered-By", "Cross-Origin-Opener-Policy", "Cross-Origin-Embedder-Policy",
    "Cross-Origin-Resource-Policy", "X-XSS-Protection", "Public-Key-Pins", "Expect-CT", "Location", "Content-Type",
    "Content-Length", "Date", "SourceMap", "Reporting-Endpoints", "Report-To", "Content-Encoding",
)  # fmt: skip
PIECES = (
    "max-age=", "31536000", "includeSubDomains", "preload", "script-src", "default-src", "object-src", "base-uri",
    "'unsafe-inline'", "'unsafe-eval'", "'strict-dynamic'", "'nonce-YWJj'", "'nonce-", "'sha256-", "data:", "*",
    "https:", "https://a.example", "'self'", "'none'", "frame-ancestors", "sandbox", "nosniff", "DENY", "SAMEORIGIN",
    "no-store", "private", "public", "s-maxage", "camera=()", "geolocation=*", "=(", ")", '"', "\\", ";", ",", "=", " ",
    "\t", ";q=", "null", "true", "Secure", "HttpOnly", "SameSite=", "None", "Lax", "Path=/", "Domain=", "Expires=",
    "Max-Age=0", "Thu, 01 Jan 1970 00:00:00 GMT", "<script src=", "integrity=", "sha384-", ">", "//", "http://[",
    "text/html", "charset=", "report-to", "same-origin", "require-corp", "__Host-", "__Secure-", "session=", "1.2.3",
    "nginx", "/", "?1", ":YQ==:", "@5", "-", "é", "\x9b", "\x00", "٣", "9" * 30, "%", "xn--",
)  # fmt: skip
VALUES = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=15).map("".join),
    st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")),
    st.text(max_size=20),
    HOSTILE,
)
HEADERS = st.lists(
    st.tuples(st.sampled_from(NAMES) | VALUES, VALUES) | st.tuples(st.binary(max_size=9), st.binary(max_size=40)),
    max_size=12,
)
URLS = st.sampled_from(["https://shop.example/a", "http://shop.example", "https://[::1", "", "//", "https://é:99999/"])
BODIES = VALUES | st.binary(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=40).map("<".join)
RULES = [verdict.id for verdict in evaluate([])]
MEANT = (Status.PASS, Status.WARN, Status.FAIL, Status.NOT_APPLICABLE)


@fuzzed(
    HEADERS,
    URLS | VALUES,
    st.integers(-1, 1000),
    st.sampled_from(["web", "api", "internal"]),
    BODIES,
    st.none() | st.just("https://rdy.invalid") | VALUES,
    st.booleans(),
    examples=250,
)
@example([("Set-Cookie", "a=\x00; Expires=\ud800")], "https://h/", 200, "web", "", None, True)
@example([("X-Content-Type-Options", "\U00018cd6" * 60)], "https://h/", 200, "web", "", None, False)
def test_every_rule_comes_to_one_verdict(
    headers: list[tuple[str | bytes, str | bytes]],
    url: str,
    status: int,
    profile: Profile,
    body: str | bytes,
    origin: str | None,
    private: bool,
) -> None:
    began = time.process_time()
    verdicts = evaluate(headers, url=url, status=status, profile=profile, body=body, origin=origin, private=private)
    assert time.process_time() - began < 5
    assert [verdict.id for verdict in verdicts] == RULES
    for verdict in verdicts:
        assert verdict.status in MEANT
        assert 0 < len(verdict.reason) <= 200
        assert verdict.observed
        assert verdict.expected
    assert verdicts == evaluate(
        headers, url=url, status=status, profile=profile, body=body, origin=origin, private=private
    )


@fuzzed(st.sampled_from(NAMES), st.lists(st.sampled_from(PIECES), min_size=1, max_size=4), examples=60)
def test_a_long_header_takes_no_longer_than_its_length_warrants(name: str, pieces: list[str]) -> None:
    piece = "".join(pieces)
    value = piece * (20_000 // len(piece))
    began = time.process_time()
    evaluate([(name, value)], body=value if name == "Content-Type" else "", private=True)
    assert time.process_time() - began < 3
