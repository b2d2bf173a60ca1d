"""What the latency probe makes of the engine's samples, and where it lets redirects lead."""

from __future__ import annotations

import pytest

from readiness.errors import FactMissing
from readiness.load import Sample
from readiness.probes.load import _inside, _url
from readiness.probes.load_figures import timing


def _window(*latencies_ms: float, skipped: int = 0) -> Sample:
    sample = Sample()
    sample.skipped = skipped
    for each in latencies_ms:
        sample.succeed(each / 1000, each / 1000)
    return sample


def test_the_median_window_is_the_figure_but_the_maximum_is_over_all() -> None:
    figures = timing([_window(10, 10), _window(30, 30), _window(500, 700)], "nothing")
    assert figures.mean_ms == pytest.approx(30, rel=0.01)
    assert figures.max_ms == pytest.approx(700, rel=0.01)
    assert figures.count == 6


def test_a_window_without_success_does_not_count() -> None:
    assert timing([Sample(), _window(10), Sample()], "nothing").p50_ms == pytest.approx(10, rel=0.01)


def test_without_success_there_is_a_reason() -> None:
    with pytest.raises(FactMissing, match="nothing at all"):
        _ = timing([Sample()], "nothing at all").mean_ms


def test_a_late_machine_gives_no_figures() -> None:
    with pytest.raises(FactMissing, match="this machine could not send 2 of 6 requests on time"):
        _ = timing([_window(20, 20), _window(20, 20, skipped=2)], "nothing").p95_ms
    assert timing([_window(20, 20), _window(20, 20, skipped=1)], "nothing").count == 4


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/b?c=d#e", "http://shop/b?c=d"),
        ("b", "http://shop/b"),
        ("http://shop:80/b", "http://shop:80/b"),
        ("//shop/ä b", "http://shop/%C3%A4%20b"),
        ("https://shop/b", None),
        ("http://shop:8080/b", None),
        ("http://user@shop/b", None),
        ("http://169.254.169.254/latest", None),
        ("//evil", None),
        ("http://[", None),
        ("http://shop:99999/", None),
        ("", None),
        (None, None),
    ],
)
def test_only_redirects_inside_the_origin_are_followed(location: str | None, expected: str | None) -> None:
    assert _inside("http://shop/a", location) == expected


def test_paths_are_joined_below_the_base() -> None:
    assert _url("https://shop/v1/", "/items?q=ä b#x") == "https://shop/v1/items?q=%C3%A4%20b"
    assert _url("https://shop", "/a%2Fb") == "https://shop/a%2Fb"
