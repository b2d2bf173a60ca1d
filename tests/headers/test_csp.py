"""Content-Security-Policy against the examples and rules of CSP Level 3."""

from __future__ import annotations

import pytest

from readiness.headers import csp
from readiness.model import Status


def judge(*values: str, name: str = "Content-Security-Policy") -> dict[str, Status]:
    return {verdict.id: verdict.status for verdict in csp.judge_all([(name, value) for value in values])}


def test_parsing_follows_the_algorithm_of_the_standard() -> None:
    policy = csp.parse(" Default-SRC 'self'  https://a.example ;;\tobject-src\n'none'; default-src *; img-src")
    assert policy.directives == {
        "default-src": ("'self'", "https://a.example"),
        "object-src": ("'none'",),
        "img-src": (),
    }
    assert policy.repeated == ("default-src",)
    assert csp.parse("script-src é; img-src *").directives == {"img-src": ("*",)}, "what is not ASCII is dropped"


def test_one_header_may_hold_several_policies() -> None:
    assert (
        len(csp.policies([("CSP", ""), (csp.HEADER, "default-src 'self', script-src 'none',"), (csp.HEADER, "")])) == 2
    )


@pytest.mark.parametrize(
    ("name", "text", "governs"),
    [
        ("script-src-elem", "script-src a; default-src b", "script-src"),
        ("script-src-elem", "default-src b", "default-src"),
        ("worker-src", "child-src a; script-src b", "child-src"),
        ("frame-src", "child-src a", "child-src"),
        ("object-src", "default-src a", "default-src"),
        ("base-uri", "default-src a", None),
        ("frame-ancestors", "default-src 'none'", None),
        ("form-action", "default-src 'none'", None),
    ],
)
def test_fallbacks(name: str, text: str, governs: str | None) -> None:
    governing = csp.parse(text).effective(name)
    assert (governing[0] if governing else None) == governs


@pytest.mark.parametrize(
    ("source", "broad"),
    [
        ("*", True), ("*:*", True), ("https:", True), ("HTTP:", True), ("ws:", True), ("data:", True),
        ("https://*", True), ("https://*:443", True), ("http://*:*", True), ("*.com", True),
        ("https://*.net/js/", True),
        ("'self'", False), ("'none'", False), ("a.example", False), ("*.example.com", False),
        ("https://cdn.example.com:443/js", False), ("'nonce-abc'", False), ("localhost:3000", False), ("", False),
    ],
)  # fmt: skip
def test_wildcards_are_found_by_what_they_match(source: str, broad: bool) -> None:
    assert csp.is_broad(source) is broad


NONCE = "'nonce-R4nd0mR4nd0mR4nd0m'"
HASH = "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        ("default-src 'none'", Status.PASS),
        ("default-src 'self'", Status.PASS),
        ("script-src", Status.PASS),  # an empty list matches nothing
        ("script-src 'self' https://cdn.example.com", Status.PASS),
        ("script-src 'unsafe-inline'", Status.FAIL),
        ("default-src 'unsafe-inline'", Status.FAIL),
        ("script-src 'UNSAFE-INLINE'", Status.FAIL),
        (f"script-src 'unsafe-inline' {NONCE}", Status.PASS),
        (f"script-src 'unsafe-inline' {HASH}", Status.PASS),
        ("script-src 'unsafe-inline' 'strict-dynamic'", Status.PASS),
        (f"script-src https: http: 'unsafe-inline' {NONCE} 'strict-dynamic'", Status.PASS),
        (f"script-src https: {NONCE}", Status.FAIL),  # hosts still count without 'strict-dynamic'
        ("script-src *", Status.FAIL),
        ("script-src 'self' data:", Status.FAIL),
        ("script-src 'self' blob:", Status.WARN),
        ("script-src http://cdn.example.com", Status.WARN),
        ("script-src 'nonce-abc'", Status.WARN),
        ("img-src *", Status.FAIL),  # nothing limits scripts
        ("script-src 'self'; script-src-elem 'unsafe-inline'", Status.FAIL),
        ("script-src 'self'; script-src-attr 'unsafe-inline'", Status.FAIL),
        ("script-src 'unsafe-inline'; script-src-elem 'self'; script-src-attr 'none'", Status.PASS),
        ("style-src 'unsafe-inline'; script-src 'self'", Status.PASS),
    ],
)
def test_scripts(policy: str, status: Status) -> None:
    assert judge(policy)["csp.scripts"] is status


def test_what_one_policy_forbids_is_forbidden() -> None:
    assert judge("script-src *; object-src *", "script-src 'self'")["csp.scripts"] is Status.PASS
    assert judge("script-src *, script-src 'self'")["csp.scripts"] is Status.PASS
    assert judge("script-src *", "script-src 'unsafe-inline'")["csp.scripts"] is Status.FAIL


@pytest.mark.parametrize(
    ("policy", "rule", "status"),
    [
        ("script-src 'self' 'unsafe-eval'", "csp.eval", Status.WARN),
        ("script-src 'self' 'wasm-unsafe-eval'", "csp.eval", Status.PASS),
        ("default-src 'none'", "csp.objects", Status.PASS),
        ("default-src 'self'", "csp.objects", Status.WARN),
        ("script-src 'self'", "csp.objects", Status.WARN),
        ("script-src 'self'; object-src 'none'", "csp.objects", Status.PASS),
        (f"script-src {NONCE}", "csp.base", Status.WARN),
        (f"script-src {NONCE}; base-uri 'none'", "csp.base", Status.PASS),
        (f"script-src {NONCE}; base-uri *", "csp.base", Status.WARN),
        ("script-src 'self'", "csp.base", Status.PASS),
        ("script-src self", "csp.syntax", Status.WARN),
        ("script-src nonce-abcdefgh", "csp.syntax", Status.WARN),
        ("script-src 'self' object-src 'none'", "csp.syntax", Status.WARN),
        ("script-source 'self'", "csp.syntax", Status.WARN),
        ("default-src 'self'; default-src *", "csp.syntax", Status.WARN),
        ("default-src 'self'; sandbox allow-scripts; report-to none", "csp.syntax", Status.PASS),
    ],
)
def test_the_other_rules(policy: str, rule: str, status: Status) -> None:
    assert judge(policy)[rule] is status


def test_a_missing_policy_and_one_that_only_reports() -> None:
    for missing in (judge(), judge("default-src 'none'", name="Content-Security-Policy-Report-Only")):
        assert missing.pop("csp.present") is Status.FAIL
        assert set(missing.values()) == {Status.NOT_APPLICABLE}
    assert "report-only" in csp.judge([(csp.REPORT_ONLY, "default-src 'none'")]).reason


def test_the_defaults_of_helmet_pass() -> None:
    policy = (
        "default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';frame-ancestors 'self';"
        "img-src 'self' data:;object-src 'none';script-src 'self';script-src-attr 'none';"
        "style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests"
    )
    judged = judge(policy)
    assert judged.pop("csp.reporting") is Status.NOT_APPLICABLE
    assert set(judged.values()) == {Status.PASS}


def test_nonces() -> None:
    assert csp.nonces([(csp.HEADER, f"script-src {NONCE}; style-src 'nonce-other123'")]) == {
        "R4nd0mR4nd0mR4nd0m",
        "other123",
    }
