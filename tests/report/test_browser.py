"""The report in a real browser, headless: what it shows, what it does, what it asks the network for."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from readiness.report import render

from .hostile import hostile
from .sample import REPORTS, assessment

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.real, pytest.mark.skipif(BROWSER is None, reason="no chromium on PATH")]

THEMES = ("light", "dark")
SECTIONS = (
    "History", "Strengths", "Findings", "Path to 9/10", "Production deployment checklist", "Performance expectations",
    "Architecture", "Next steps", "Limits of this audit", "Gate", "All checks", "About this run",
)  # fmt: skip


@dataclass
class Opened:
    """A page, with what it complained about and what it asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=BROWSER, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The golden reports as files, and one in which every text is hostile."""
    folder = tmp_path_factory.mktemp("reports")
    reports = {name: make() for (name, _), make in REPORTS.items()} | {"hostile": hostile(assessment())}
    quoted = {"body": "line after line of an answer\n" * 100, "path": "/api/" + "x" * 500}
    reports["long"] = replace(
        assessment(), checks=tuple(replace(each, evidence=quoted) for each in assessment().checks)
    )
    for name, report in reports.items():
        (folder / f"{name}.html").write_text(render(report, "html"), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in reports}


def opened(
    browser: Any, path: Path, *, width: int = 1440, theme: str = "light", anchor: str = "", **more: Any
) -> Opened:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce", **more
    )
    result = Opened(context.new_page())
    result.page.set_default_timeout(10_000)
    result.page.on("console", lambda message: result.complaints.append(f"{message.type}: {message.text}"))
    result.page.on("pageerror", lambda error: result.complaints.append(f"error: {error}"))
    result.page.on("request", lambda request: result.requests.append(request.url))
    result.page.goto(path.as_uri() + anchor)
    return result


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", [*(name for name, _ in REPORTS), "hostile", "long"])
def test_no_overflow_no_complaint_no_request(browser: Any, files: dict[str, Path], name: str, theme: str) -> None:
    shown = opened(browser, files[name], theme=theme)
    shown.page.locator("details").evaluate_all("all => all.forEach((one) => (one.open = true))")
    beyond = "all => all.filter((one) => one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.id)"
    for width in (1440, 390):
        shown.page.set_viewport_size({"width": width, "height": 900})
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
        assert shown.page.locator("main > section").evaluate_all(beyond) == []
    background = shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in background[4:-1].split(",")) > 384) == (theme == "light")
    assert shown.complaints == []
    assert shown.requests == [files[name].as_uri()]
    shown.page.context.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, from npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm on PATH to fetch axe-core with")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
    done = subprocess.run([*command, "axe-core@4"], capture_output=True, text=True, timeout=90, check=False)
    if done.returncode:
        pytest.skip(f"npm could not fetch axe-core: {done.stderr.strip()[-200:]}")
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "width", "theme"),
    [
        ("assessment", 1440, "light"),
        ("assessment", 1440, "dark"),
        ("assessment", 390, "light"),
        ("assessment", 390, "dark"),
        ("long", 390, "light"),
        ("outage", 1440, "dark"),
        ("partial", 390, "light"),
    ],
)
def test_axe_finds_nothing_that_matters(
    browser: Any, files: dict[str, Path], axe: str, name: str, width: int, theme: str
) -> None:
    # axe itself would be refused by the report's own policy.
    shown = opened(browser, files[name], width=width, theme=theme, bypass_csp=True)
    shown.page.locator("details").evaluate_all("all => all.forEach((one) => (one.open = true))")
    shown.page.evaluate(axe)
    found = shown.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert found["passes"], "axe ran no rule"
    grave = [
        (violation["id"], [node["target"] for node in violation["nodes"]][:5])
        for violation in found["violations"]
        if violation["impact"] in ("moderate", "serious", "critical")
    ]
    assert grave == []
    shown.page.context.close()


def test_filters(browser: Any, files: dict[str, Path]) -> None:
    page = opened(browser, files["assessment"]).page
    rows, form = page.locator("table.all tbody tr"), page.get_by_label("Filter the checks")
    said, total = form.locator("output"), rows.count()
    assert said.inner_text() == f"{total} checks"
    assert not any(row.is_visible() for row in rows.all())  # folded until somebody looks for something
    form.get_by_label("Status").select_option("fail")
    assert {row.get_attribute("data-status") for row in rows.all() if row.is_visible()} == {"fail"}
    form.get_by_label("Component").select_option("caching")
    shown = [row.inner_text() for row in rows.all() if row.is_visible()]
    assert len(shown) == 1
    assert "caching.memory.policy" in shown[0]
    assert said.inner_text() == f"1 of {total} checks"
    form.get_by_label("Severity").select_option("low")
    assert not any(row.is_visible() for row in rows.all())
    for name in ("Status", "Component", "Severity"):
        form.get_by_label(name).select_option("")
    assert not any(row.is_visible() for row in rows.all())
    form.get_by_label("Text").fill("TLS")
    assert all("tls" in row.inner_text().lower() for row in rows.all() if row.is_visible())
    assert said.inner_text().startswith("2 of ")
    page.context.close()


def test_filters_of_the_findings(browser: Any, files: dict[str, Path]) -> None:
    page = opened(browser, files["assessment"]).page
    form, findings, groups = (
        page.get_by_label("Filter the findings"),
        page.locator(".finding"),
        page.locator(".findings"),
    )
    total = findings.count()
    assert form.locator("output").inner_text() == f"{total} findings"
    form.get_by_label("Component").select_option("caching")
    assert form.locator("output").inner_text() == f"2 of {total} findings"
    assert {each.get_attribute("data-component") for each in findings.all() if each.is_visible()} == {"caching"}
    assert sum(group.is_visible() for group in groups.all()) == 2  # a severity without a hit is gone
    # A link to a finding that is filtered out shows it again.
    page.evaluate("location.hash = '#check-database.profiler.enabled'")
    sync_api.expect(page.locator("[id='check-database.profiler.enabled']")).to_be_in_viewport()
    assert all(each.is_visible() for each in findings.all())
    page.context.close()


def test_deep_links(browser: Any, files: dict[str, Path]) -> None:
    page = opened(browser, files["assessment"], anchor="#check-caching.memory.policy").page
    finding = page.locator("[id='check-caching.memory.policy']")
    assert finding.get_attribute("open") is not None
    sync_api.expect(finding).to_be_in_viewport()
    # A link to a row that a filter hides shows it again.
    page.get_by_label("Filter the checks").get_by_label("Text").fill("nothing has this")
    page.evaluate("location.hash = '#check-security.tls.expiry'")
    sync_api.expect(page.locator("[id='check-security.tls.expiry']")).to_be_in_viewport()
    page.locator("table.components th", has_text="Component").first.scroll_into_view_if_needed()
    page.locator(".verdict a").click()
    sync_api.expect(page.locator("#path")).to_be_in_viewport()
    page.context.close()


def test_a_link_with_broken_escapes_does_no_harm(browser: Any, files: dict[str, Path]) -> None:
    shown = opened(browser, files["assessment"], anchor="#check-%E0%A4%A")
    assert shown.complaints == []
    shown.page.context.close()


@pytest.mark.parametrize("clipboard", [True, False], ids=["clipboard", "selection"])
def test_copy_buttons(browser: Any, files: dict[str, Path], clipboard: bool) -> None:
    page = opened(browser, files["assessment"], permissions=["clipboard-read", "clipboard-write"]).page
    if not clipboard:  # as in a browser that gives a file no clipboard
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('denied')); }")
    button = page.locator("[id='check-caching.memory.policy'] .paste button").first
    page.locator("[id='check-caching.memory.policy'] summary").first.click()
    button.click()
    sync_api.expect(button).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "CONFIG SET maxmemory-policy allkeys-lru"
    assert page.locator("pre[data-copy]").count() == page.locator(".paste button").count()
    page.context.close()


def test_theme_and_unfold_buttons(browser: Any, files: dict[str, Path]) -> None:
    page = opened(browser, files["assessment"], theme="dark").page
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.click("[data-do=theme]")
    assert page.evaluate(ground) != dark
    page.click("[data-do=theme]")
    assert page.evaluate(ground) == dark
    page.click("[data-do=unfold]")
    assert page.locator(".finding:not([open])").count() == 0
    page.click("[data-do=unfold]")
    assert page.locator(".finding[open]").count() == 0
    page.context.close()


def test_usable_by_keyboard(browser: Any, files: dict[str, Path]) -> None:
    page = opened(browser, files["assessment"]).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    summary = page.locator("[id='check-caching.memory.policy'] > summary")
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("[id='check-caching.memory.policy']").get_attribute("open") is not None
    page.context.close()


def test_without_a_script_everything_is_there(browser: Any, files: dict[str, Path]) -> None:
    shown = opened(browser, files["assessment"], java_script_enabled=False)
    text = shown.page.locator("main").inner_text()
    assert all(section in text for section in SECTIONS)
    assert not any(form.is_visible() for form in shown.page.locator(".filters").all())
    shown.page.context.close()


@pytest.mark.parametrize("theme", THEMES)
def test_the_print_has_every_section(browser: Any, files: dict[str, Path], theme: str) -> None:
    pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")
    page = opened(browser, files["assessment"], theme=theme).page
    printed = page.pdf(format="A4")
    text = " ".join(" ".join(sheet.extract_text() for sheet in pypdf.PdfReader(io.BytesIO(printed)).pages).split())
    for section in SECTIONS:
        assert section in text, section
    for folded in ("db.setProfilingLevel(1", "Slow operations leave a trace", "clusterMonitor", "MongoDB 8.0"):
        assert folded in text, folded
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator(".tools").is_visible()
    page.context.close()


def test_the_figures_match_the_json(browser: Any, files: dict[str, Path]) -> None:
    data = json.loads(render(assessment(), "json"))
    page = opened(browser, files["assessment"]).page
    cells = page.locator("table.components tbody tr").all_inner_texts()
    for component, cell in zip(data["components"], cells, strict=True):
        assert component["name"] in cell
        assert f"{component['headline']}/10" in cell.replace("\n", "")
    page.context.close()
