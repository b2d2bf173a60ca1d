"""Whatever a header holds, every family gives a verdict: strangers write these headers."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.headers import (
    Headers,
    Profile,
    Verdict,
    caching,
    cookies,
    cors,
    csp,
    disclosure,
    evaluate,
    framing,
    hsts,
    permissions,
    rate_limit,
    referrer,
    sniffing,
    structured,
)
from readiness.model import Status

NAMES = (
    "Content-Security-Policy", "Content-Security-Policy-Report-Only", "Strict-Transport-Security", "Set-Cookie",
    "X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy", "Permissions-Policy", "Feature-Policy",
    "Cache-Control", "Age", "X-Cache", "Cache-Status", "Access-Control-Allow-Origin",
    "Access-Control-Allow-Credentials", "Vary", "RateLimit", "RateLimit-Policy", "RateLimit-Limit",
    "X-RateLimit-Limit", "Retry-After", "Server", "Via", "X-Powered-By", "Cross-Origin-Opener-Policy",
    "Cross-Origin-Embedder-Policy", "Cross-Origin-Resource-Policy", "X-XSS-Protection", "Expect-CT", "Location",
    "Content-Type", "Content-Length", "Date", "SourceMap", "Reporting-Endpoints", "Report-To",
)  # fmt: skip
PIECES = (
    "max-age=", "31536000", "includeSubDomains", "script-src", "default-src", "'unsafe-inline'", "'nonce-",
    "*", "https:",
    "'self'", "frame-ancestors", "nosniff", "DENY", "no-store", "private", "camera=()", "=(", ")", '"', "\\",
    ";", ",", "=",
    " ", "\t", "limit=1", ";q=", ";w=60", "null", "true", "Secure", "HttpOnly", "SameSite=None", "Expires=",
    "Max-Age=0", "<script src=", "integrity=", ">", "//", "http://[", "text/html", "report-to", "same-origin",
    "__Host-", "session=", "1.2.3", "/", "?1", ":YQ==:", "@5", "-", "é", "\x9b", "\x00", "٣", "9" * 20,
)  # fmt: skip

text = st.one_of(
    st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")),
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.text(max_size=40),
)
header_lists = st.lists(st.tuples(st.one_of(st.sampled_from(NAMES), text), text), max_size=6)


def verdicts(headers: Headers, body: str = "") -> list[Verdict]:
    return [
        *csp.judge_all(headers), hsts.judge(headers), framing.judge(headers), sniffing.judge(headers),
        referrer.judge(headers), permissions.judge(headers), caching.judge_private(headers),
        cors.judge(headers, "https://rdy.invalid"), cors.judge(headers, "null"), disclosure.judge(headers, body),
        *(cookies.judge(cookie, https=True, host="h") for cookie in cookies.cookies(headers)),
    ]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(header_lists, text)
def test_every_family_gives_a_verdict(headers: list[tuple[str, str]], body: str) -> None:
    for verdict in verdicts(headers, body):
        assert verdict.status in (Status.PASS, Status.WARN, Status.FAIL, Status.NOT_APPLICABLE)
        assert verdict.reason
        assert len(verdict.reason) <= 160
        assert verdict.observed
        assert verdict.expected
    rate_limit.find(headers)
    csp.nonces(headers)
    for cookie in cookies.cookies(headers):
        assert cookie.deletes(0.0) in (True, False)


RULES = [verdict.id for verdict in evaluate([])]


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(st.one_of(st.sampled_from(NAMES), st.binary(max_size=20)), st.one_of(text, st.binary())), max_size=6
    ),
    st.one_of(st.sampled_from(["https://shop.example/a", "http://shop.example", "https://[::1", ""]), text),
    st.integers(0, 999),
    st.sampled_from(["web", "api", "internal"]),
    st.one_of(text, st.binary()),
    st.one_of(st.none(), text),
    st.booleans(),
)
def test_any_bytes_get_one_verdict_for_each_rule(
    headers: list[tuple[str | bytes, str | bytes]],
    url: str,
    status: int,
    profile: Profile,
    body: str | bytes,
    origin: str | None,
    private: bool,
) -> None:
    verdicts = evaluate(headers, url=url, status=status, profile=profile, body=body, origin=origin, private=private)
    assert [verdict.id for verdict in verdicts] == RULES
    for verdict in verdicts:
        assert verdict.status in (Status.PASS, Status.WARN, Status.FAIL, Status.NOT_APPLICABLE)
        assert verdict.observed
        assert verdict.expected
        assert 0 < len(verdict.reason) <= 200


def test_rules_belong_to_the_published_families() -> None:
    families = {
        "csp", "hsts", "framing", "mime", "referrer", "permissions", "coop", "coep", "corp", "cors", "cookies", "cache",
        "leak", "deprecated", "redirect", "sri",
    }  # fmt: skip
    assert len(set(RULES)) == len(RULES)
    assert {rule.partition(".")[0] for rule in RULES} == families


@settings(max_examples=400, deadline=None)
@given(text)
def test_structured_fields_are_parsed_or_refused(value: str) -> None:
    for parse in (structured.parse_list, structured.parse_dictionary, structured.parse_item):
        try:
            parse(value)
        except structured.Malformed:
            continue


@settings(max_examples=300, deadline=None)
@given(text)
def test_masked_cookies_keep_their_length(value: str) -> None:
    masked = cookies.mask(value)
    assert len(masked) == len(value)
    assert masked.partition(";")[2] == value.partition(";")[2]


@pytest.mark.parametrize(
    "piece",
    [
        'a="',
        "\\",
        ";",
        ",",
        "' ",
        "=",
        "((",
        "a ",
        "1.",
        "script-src ",
        "<hr",
        "a=1;",
        ":",
        "<script ",
        "<script src='",
        "<!--",
        "<link a=",
    ],
)
def test_long_headers_cost_little(piece: str) -> None:
    """A header may be 100 kB long: nothing may take quadratic time."""
    long = piece * (100_000 // len(piece))
    began = time.process_time()
    verdicts([(name, long) for name in NAMES], long)
    rate_limit.find([(name, long) for name in NAMES])
    evaluate([(name, long) for name in NAMES], url=long, body=long, private=True)
    evaluate([], url="https://shop.example/", body=long, private=True)
    assert time.process_time() - began < 10
