"""A planted secret is found in every form in which a driver or a server may quote it."""

from __future__ import annotations

import base64
import html
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from readiness import secrets
from readiness.secrets import Scrubber
from readiness.settings import Settings

SECRET = 'pl@nt/d "s3cret" <&>+%'


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        html.escape(SECRET),
        json.dumps(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_every_encoding(form: str) -> None:
    scrubbed = Scrubber([SECRET]).text(f"error near '{form}': refused")
    assert "s3cret" not in scrubbed
    assert form not in scrubbed


def test_the_secrets_of_a_configuration() -> None:
    settings = Settings.model_validate(
        {
            "http": {"url": "http://a.example", "headers": {"Authorization": "Bearer t0ken-t0ken"}},
            "mongodb": {"uri": "mongodb://auditor:m%40ngopass@h1,h2/?tls=true"},
            "redis": {"url": "redis://:redispass@h"},
        }
    )
    scrub = secrets.of(settings)
    text = scrub.text("t0ken-t0ken m@ngopass m%40ngopass redispass auditor h1")
    assert text == f"{secrets.MASK} {secrets.MASK} {secrets.MASK} {secrets.MASK} auditor h1"
    assert scrub.data({"a": ["redispass", {"redispass": 1}], "n": 2}) == {
        "a": [secrets.MASK, {secrets.MASK: 1}],
        "n": 2,
    }


@settings(deadline=None)
@given(st.text(min_size=4, max_size=30), st.text(max_size=20), st.text(max_size=20))
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    scrubbed = Scrubber([secret]).text(before + secret + after)
    assert secret not in scrubbed or secret in secrets.MASK or secret in secrets._vocabulary()


WAYS: list[Callable[[str], str]] = [
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: repr(text)[1:-1],
    lambda text: repr(text.encode())[2:-1],
    lambda text: quote(text, safe=""),
    quote_plus,
    html.escape,
    lambda text: text.replace("/", "\\/").replace("<", "\\u003C"),
]
VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=0x24F, categories=("L", "N", "P", "S")), min_size=8)


@settings(deadline=None)
@given(VISIBLE, st.lists(st.sampled_from(WAYS), max_size=3), st.text(max_size=10))
@example("a'b\"c\\d/e", WAYS[:3], "")
@example("%%%%%%%%", [quote_plus, quote_plus], "")
def test_encoded_any_number_of_times_over(secret: str, ways: list[Callable[[str], str]], before: str) -> None:
    encoded = secret
    for way in ways:
        encoded = way(encoded)
    assert encoded not in Scrubber([secret]).text(f"{before} {encoded} after") or secret in secrets._vocabulary()


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
@pytest.mark.parametrize("after", ["", "z", "zz"])
def test_inside_of_base64(before: str, after: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode((before + SECRET + after).encode()).decode()
        shown = Scrubber([SECRET]).text(f"Basic {text}")
        assert secrets.MASK in shown
        assert len(shown) < 25


@pytest.mark.parametrize("end", ["…", "", "… and more"])
def test_what_a_limit_left(end: str) -> None:
    scrub = Scrubber(["s3cret/Pa55word-of-many-letters"])
    for length in range(6, 31):
        shown = scrub.text("refused s3cret/Pa55word-of-many-letters"[: 8 + length] + end)
        assert shown == f"refused {secrets.MASK}{end}"
    assert scrub.text("s3cret/Pa55word is its beginning") == f"{secrets.MASK} is its beginning"
    assert scrub.text("a s3cr of words") == "a s3cr of words"


def test_what_is_no_secret() -> None:
    words = {"Accept": "application/json", "User-Agent": "readiness", "X-Forwarded-Proto": "https"}
    found = Settings.model_validate({"http": {"url": "http://a.example", "headers": words}})
    text = "application/json over https by readiness: pass, fail, critical"
    assert secrets.of(found).text(text) == text
    assert Scrubber(["pass", "critical", "database", "abc", ""]).text(text + " abc database") == text + " abc database"


@pytest.mark.parametrize(
    ("data", "secret"),
    [
        ({"http": {"headers": {"Authorization": f"Basic {base64.b64encode(b'u:b4sic-pw').decode()}"}}}, "b4sic-pw"),
        ({"http": {"headers": {"Cookie": "a=1; session=c00kie-value; b=2"}}}, "c00kie-value"),
        ({"http": {"endpoints": ["/a?x=1&api_key=qu%2Fery-value#f"]}}, "qu/ery-value"),
        ({"mongodb": {"uri": "mongodb://h/?tlsCertificateKeyFilePassword=k3y-pass"}}, "k3y-pass"),
        ({"mongodb": {"uri": "mongodb://u:pa/ss-word@h"}}, "pa/ss-word"),
        ({"mongodb": {"options": {"authMechanismProperties": "AWS_SESSION_TOKEN:t0ken,A:b"}}}, "t0ken"),
        ({"mongodb": {"options": {"password": 12345678}}}, "12345678"),
        ({"redis": {"url": "redis://onl7-user@h"}}, "onl7-user"),
        ({"redis": {"url": "rediss://h/0?password=p4rameter"}}, "p4rameter"),
        ({"queue": {"client_secret": "cl1ent-secret"}}, "cl1ent-secret"),
    ],
)
def test_what_is_remembered_before_it_is_validated(data: dict[str, Any], secret: str) -> None:
    secrets.remember(data)
    assert secrets.masked(f"cannot use {secret} here") == f"cannot use {secrets.MASK} here"
    secrets.remember({})
    assert secrets.masked(f"cannot use {secret} here") == f"cannot use {secret} here"


def test_a_login_in_any_url_of_a_message() -> None:
    secrets.remember({})
    text = "Got unexpected extra argument (redis://user:p@ss/w0rd@h:1/0) for http://h:1/a"
    assert secrets.masked(text) == f"Got unexpected extra argument (redis://user:{secrets.MASK}@h:1/0) for http://h:1/a"


@pytest.mark.parametrize("piece", ["\\", "%25", "&amp;", "%5C", "s", " ", "+", "/\\", "/%5C", "%2F", "…", "s3cr"])
def test_what_a_stranger_sends_takes_no_long_search(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    scrub = Scrubber(["/\\ é&%/\\ ;#secret", "s3cret/Pa55word", "%%%%%%%%", "\\\\\\\\ab\\c", SECRET])
    began = time.perf_counter()
    scrub.text(text)
    scrub.data({"a": [text, text + "s3cret/Pa55word"]})
    assert time.perf_counter() - began < 10
