"""A planted secret is found in every form in which a driver or a server may quote it."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
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


@given(st.text(min_size=4, max_size=30), st.text(max_size=20), st.text(max_size=20))
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    scrubbed = Scrubber([secret]).text(before + secret + after)
    assert secret not in scrubbed or secret in secrets.MASK
