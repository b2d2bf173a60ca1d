"""What is read from pages and JSON answers, hostile ones included."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.probes.delivery_page import Asset, assets, instance_fields, longest_list, parse

URL = "https://shop.example.com/a/"


def test_assets_of_the_own_origin_are_found_text_first() -> None:
    own, foreign = assets(
        """<img src=/logo.png><link rel="stylesheet" href="../style.css?v=1"><script src=app.js></script>
        <link rel=icon href=/i.ico><link rel=canonical href=/x><script>var a</script><img src="data:image/png,AA">
        <script src=//cdn.example.net/x.js></script><script src="https://cdn.example.net/y.js"></script>
        <script src="http://[bad"></script><a href=/page>""",
        URL,
    )
    assert [asset.path for asset in own] == ["/style.css?v=1", "/a/app.js", "/logo.png", "/i.ico"]
    assert foreign == {"cdn.example.net": 2}


def test_a_base_element_moves_relative_addresses() -> None:
    own, _ = assets('<base href="/static/"><script src="app.js"></script>', URL)
    assert own == [Asset("/static/app.js", True)]


@pytest.mark.parametrize(
    ("path", "hashed"),
    [
        ("/assets/index-BiqYl60x.js", True),
        ("/static/main.4f3a9c1d.chunk.css", True),
        ("/a/app.3b1f0c2e9a7d4f5b.js?x", True),
        ("/app.js", False),
        ("/jquery-migrate.js", False),
        ("/bootstrap.min.css", False),
        ("/lib-1.2.3.js", False),
    ],
)
def test_names_with_a_hash(path: str, hashed: bool) -> None:
    assert Asset(path, True).hashed is hashed


@given(st.text(max_size=300))
def test_no_page_is_too_strange(html: str) -> None:
    assets(html, URL)
    assets(f"<script src='{html}'><![{html}<link rel=stylesheet href={html}>", URL)


@pytest.mark.parametrize("body", ["", "[" * 100_000, "{", "9" * 5000, '"' + "x" * 2_000_000 + '"'])
def test_hostile_json_is_none(body: str) -> None:
    assert parse(body) is None


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([1, 2], (2, False)),
        ({"items": [1, 2, 3], "total": 3}, (3, True)),
        ({"data": {"rows": [1], "next": None}}, (1, True)),
        ({"a": 1}, (None, False)),
        ("text", (None, False)),
        (None, (None, False)),
    ],
)
def test_the_longest_list(document: Any, expected: tuple[int | None, bool]) -> None:
    assert longest_list(document) == expected


def test_fields_that_name_the_instance() -> None:
    document = {
        "hostname": "web-1",
        "ok": True,
        "process": {"pid": 7},
        "database": {"hostname": "db-1", "instance": "x"},
        "pod": None,
        "instance": True,
    }
    assert instance_fields(document) == {"hostname": "web-1", "pid": "7"}
    assert instance_fields([document]) == {}
