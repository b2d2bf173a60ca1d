from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from readiness.change import Cause, Change, Comparison, Delta, Part, Side
from readiness.cli import app
from readiness.errors import ConfigError
from readiness.model import Architecture, Report
from readiness.report import render
from readiness.report.text import UNSAFE

from .hostile import EVALUATED, INJECTIONS, TEXT, hostile
from .sample import REPORTS, WRONG, assessment, outage, partial

VOID = {"meta", "input", "br", "img", "link", "hr"}


class Page(HTMLParser):
    """Tags with their attributes, the text of the page, and what the browser would fetch or run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.inline: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("style", "script"):
            self.inline[self.open[-1]] = data
        else:
            self.text.append(data)

    def values(self, attribute: str) -> list[str]:
        return [str(attributes[attribute]) for _, attributes in self.tags if attribute in attributes]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render(assessment(), "html"))


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("assessment.1.html", render(assessment(), "html"))


@pytest.mark.parametrize("make", REPORTS.values())
def test_well_formed_with_unique_ids_and_links_that_lead_somewhere(make: Callable[[], Report]) -> None:
    page = Page(render(make(), "html"))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    for link in page.values("href"):
        assert link.startswith("https://") or link.removeprefix("#") in ids, link


def test_it_loads_nothing(page: Page) -> None:
    assert not page.values("src")
    assert not page.values("srcset")
    assert not {tag for tag, _ in page.tags} & {"link", "img", "iframe", "object", "embed", "base", "audio", "video"}
    references = {check.reference for check in assessment().checks}
    outside = [link for link in page.values("href") if not link.startswith("#")]
    assert outside
    assert set(outside) <= references
    for style in (page.inline["style"],):
        assert "url(" not in style
        assert "@import" not in style
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|eval\(|innerHTML", page.inline["script"])


def test_only_its_own_script_and_style_may_run(page: Page) -> None:
    policy = next(
        a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag, source in page.inline.items():
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "style"]


def test_every_section_is_there(page: Page) -> None:
    sections = {
        "verdict",
        "components",
        "strengths",
        "findings",
        "path",
        "checklist",
        "expectations",
        "architecture",
        "next",
        "history",
    }
    assert sections | {"limits", "gate", "checks", "run"} <= set(page.values("id"))
    assert {f"check-{check.id}" for check in assessment().checks} <= set(page.values("id"))
    text = " ".join(" ".join(page.text).split())
    assert "8 /10 8.4" in text
    assert "Needs work before production" in text
    assert "Without 2 waivers 6.9" in text
    assert "3 checks blocked by monitoring.prometheus.reach" in text
    assert "Needs clusterMonitor." in text
    assert "+0.4 overall, +1.4 Monitoring if fixed" in text
    assert text.index("/health answers 200") < text.index("no profiler or slow query log", text.index("Findings"))


def test_fixes_say_what_they_are_for(page: Page) -> None:
    text = " ".join(" ".join(page.text).split())
    assert "Fix Express app.get('/health'" in text
    assert "Fix mongosh db.setProfilingLevel(1" in text
    assert "Fix Validate every body" in text
    assert "Fixes written for nginx server: nginx/1.27.2 ; Express x-powered-by: Express ;" in text
    bare = " ".join(Page(render(partial(), "html")).text)
    assert "nothing was recognised; http.stack names it" in bare


def test_the_measurements(page: Page) -> None:
    text = " ".join(" ".join(page.text).split())
    assert "Database connections Open Active Available Average response" in text
    assert "db1:27017 Open 24 Active 3" in text


def compared() -> Report:
    old = Side("artisan-market", "production", "https://api.example.com", "2026-02-16T09:30:00+00:00", "0.1.0", "1")
    parts = (Part(Cause.FIXED, 0.5, "1/2"), Part(Cause.REGRESSED, -0.2, "-1/5"))
    return replace(
        assessment(),
        comparison=Comparison(
            old=old,
            new=replace(old, started_at="2026-03-02T09:30:00+00:00"),
            overall=Delta("overall", "Overall", 6.8, 7.1, 0.3, "3/10", parts),
            components=(Delta("caching", "Caching", 7.0, 7.6, 0.6, "3/5", (Part(Cause.FIXED, 0.6, "3/5"),)),),
            changes=(
                Change(Cause.FIXED, "caching", "caching.ttl.coverage", "Entries expire", "medium", "fail", "pass"),
                Change(Cause.REGRESSED, "security", "security.gone", "It holds", "high", "pass", "fail", "it broke"),
            ),
            warnings=("another scoring model",),
            notes=("another version",),
        ),
    )


def test_what_changed_since_the_baseline() -> None:
    page = Page(render(compared(), "html"))
    text = " ".join(" ".join(page.text).split())
    assert "What changed Since 2026-02-16 09:30 UTC: 6.8 → 7.1 (+0.3)." in text
    assert "Caching 7.0 → 7.6 +0.6 fixed +0.6" in text
    assert "security.gone pass → fail it broke" in text
    assert "another scoring model" in text
    assert "#check-caching.ttl.coverage" in page.values("href")
    assert "#check-security.gone" not in page.values("href")  # there is no such check here
    assert Page(render(hostile(compared()), "html")).values("href")
    assert "changes" not in Page(render(assessment(), "html")).values("id")


def test_the_drawings(page: Page) -> None:
    drawings = [attributes for tag, attributes in page.tags if tag == "svg" and attributes.get("class") == "diagram"]
    current, recommended = (str(attributes["aria-label"]) for attributes in drawings)
    assert current.startswith("Current: Clients (HTTPS); artisan-market (1 instance); MongoDB 8.0.17 (standalone), ")
    assert "CDN (for scripts, styles and images, missing)" in recommended
    assert "Prometheus (metrics, dashboards and alerts, not known)" in recommended
    assert "Queue" in recommended
    boxes = [str(attributes["class"]) for tag, attributes in page.tags if tag == "g" and "box" in str(attributes)]
    assert sorted(boxes) == sorted(
        ["box present"] * 5
        + ["box present", "box missing", "box missing", *["box change"] * 3, "box present", "box unknown"]
    )


def test_a_drawing_of_an_odd_shape() -> None:
    odd: list[dict[str, object]] = [
        {"flow": "nginx"},
        {"flow": {"name": "nginx"}},
        {"flow": [[], [["deep", 1], None, 3.5], "MongoDB", {"name": "x", "state": "splendid"}]},
        {"flow": [["many"] * 40] * 40},
        {"flow": []},
        {"flow": None},
        {"region": "eu"},
    ]
    for drawing in odd:
        for format in ("html", "md"):
            render(replace(assessment(), architecture=Architecture(drawing, drawing)), format)


def test_next_steps(page: Page) -> None:
    text = " ".join(" ".join(page.text).split())
    steps = text[text.index("Immediate actions") : text.index("Long-term goals")]
    ids = [step.check for step in assessment().path_to_target]
    assert [steps.index(id) for id in ids] == sorted(steps.index(id) for id in ids)
    goals = text[text.index("Long-term goals") :]
    assert goals.index("Auto-scaling") < goals.index("Limits of this audit")
    assert "5 fixes lead to 9.0; the first to 7.5." in text
    assert "Attested, not measured" in text


def test_readable_without_a_score() -> None:
    text = " ".join(Page(render(partial(), "html")).text)
    assert "Not scored: 5 of 6 components not run" in text
    assert "interrupted" in text
    assert "incomplete" in " ".join(Page(render(outage(), "html")).text)


@pytest.mark.parametrize("make", REPORTS.values())
def test_hostile_text_is_text(make: Callable[[], Report]) -> None:
    html = render(hostile(make()), "html")
    page = Page(html)
    assert not UNSAFE.search(html)
    assert "\r" not in html
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "img" not in {tag for tag, _ in page.tags}
    assert all(not name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert all(link.startswith("#") for link in page.values("href"))
    assert "49" not in "".join(page.text)
    assert "{{7*7}}" in "".join(page.text)
    assert "<script>alert(1)</script>" in "".join(page.text)


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_text_is_a_template(text: str) -> None:
    html = render(hostile(assessment(), text), "html")
    assert EVALUATED not in html
    assert not UNSAFE.search(html)
    assert [tag for tag, _ in Page(html).tags].count("script") == 1


def test_text_that_ends_the_script_or_the_style() -> None:
    for text in ("</script><script>alert(1)</script>", "</style><style>*{}", "--><b>", "]]>", "'\"><b>"):
        page = Page(render(hostile(assessment(), text), "html"))
        assert set(page.inline) == {"script", "style"}
        assert "b" not in [tag for tag, attributes in page.tags if attributes == {"onclick": None}]
        assert [tag for tag, _ in page.tags].count("style") == 1


def test_a_large_audit_stays_small() -> None:
    quote = TEXT * 200  # 100 kB, and most of it grows when escaped
    checks = tuple(
        replace(
            WRONG[n % len(WRONG)],
            id=f"database.many.n{n}",
            evidence={"raw": quote, "rows": [quote] * 20},
            message=quote,
        )
        for n in range(200)
    )
    report = replace(assessment(), checks=checks)
    html = render(report, "html")
    assert len(html.encode()) < 1_000_000
    assert "the JSON report has the full evidence" in html
    seconds = []
    for _ in range(5):
        began = time.process_time()
        render(report, "html")
        seconds.append(time.process_time() - began)
    assert min(seconds) < 0.6  # below 0.3 where nothing else runs


def test_a_user_template_replaces_or_extends_ours(tmp_path: Path) -> None:
    (tmp_path / "report.html.j2").write_text(
        '{% extends "readiness/report.html.j2" %}{% block footer %}<p>ACME {{ report.service }}</p>{% endblock %}'
    )
    (tmp_path / "report.css").write_text("body { color: navy }")
    html = render(hostile(assessment()), "html", tmp_path)
    page = Page(html)
    assert "ACME" in html
    assert page.inline["style"].strip() == "body { color: navy }"
    assert [tag for tag, _ in page.tags].count("script") == 1


@pytest.mark.parametrize(
    ("file", "content", "place", "message"),
    [
        ("report.html.j2", "line\n{{ report.nothing }}", "report.html.j2:2", "nothing"),
        ("report.html.j2", "line\n\n{% if %}", "report.html.j2:3", "Expected an expression"),
        ("report.html.j2", "{% include 'missing.j2' %}", "report.html.j2", "missing.j2"),
        ("report.html.j2", "{{ 1 / 0 }}", "report.html.j2:1", "ZeroDivisionError"),
        ("macros.html.j2", "{% macro icons() %}\n{{ oops }}{% endmacro %}", "macros.html.j2:2", "oops"),
        ("report.js", "'</script>'", "report.js", "would end it"),
    ],
)
def test_errors_of_a_user_template_name_file_and_line(
    tmp_path: Path, file: str, content: str, place: str, message: str
) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(ConfigError) as caught:
        render(assessment(), "html", tmp_path)
    assert caught.value.place.endswith(place)
    assert message in caught.value.message


def test_a_missing_folder_of_templates(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        render(assessment(), "html", tmp_path / "nowhere")


def test_report_command_takes_a_folder_of_templates(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(render(assessment(), "json"))
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "comment.md.j2").write_text("ACME: {{ report.service }}")
    command = ["report", str(tmp_path / "old.json"), "-o", f"md-short:{tmp_path}/new.md", "-q", "--template-dir"]
    done = CliRunner().invoke(app, [*command, str(tmp_path / "ours")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "new.md").read_text() == "ACME: artisan-market\n"
    (tmp_path / "ours" / "comment.md.j2").write_text("one\n{% if %}")
    done = CliRunner().invoke(app, [*command, str(tmp_path / "ours")])
    assert done.exit_code == 2
    assert "comment.md.j2:2" in done.output
    done = CliRunner().invoke(app, [*command, str(tmp_path / "nowhere")])
    assert done.exit_code == 2


def test_a_slip_in_a_template_ends_an_audit_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "report.html.j2").write_text("{{ report. }}")
    command = ["audit", "http://127.0.0.1:9", "-o", f"{tmp_path}/r.html", "--template-dir", str(tmp_path)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert "report.html.j2:1" in done.output
    assert not (tmp_path / "r.html").exists()
