from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from readiness.model import Cap, Report, SystemRecord
from readiness.report import terminal
from readiness.report.text import UNSAFE

from .hostile import TEXT, hostile
from .sample import REPORTS, assessment, outage, partial, ready


def printed(report: Report, width: int = 80, *, encoding: str = "utf-8", color: bool = False, **options: bool) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    console = Console(file=file, width=width, force_terminal=color, color_system="standard" if color else None)
    terminal.render(report, console, **options)
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize(("name", "code"), REPORTS)
def test_golden_at_80_columns(name: str, code: int, golden: Callable[[str, str], None]) -> None:
    text = printed(REPORTS[name, code]())
    golden(f"{name}.{code}.txt", "\n".join(line.rstrip() for line in text.splitlines()) + "\n")


def test_golden_verbose(golden: Callable[[str, str], None]) -> None:
    text = printed(assessment(), 120, verbose=True)
    golden("assessment-verbose.1.txt", "\n".join(line.rstrip() for line in text.splitlines()) + "\n")


def test_the_table_of_the_assessment() -> None:
    text = printed(assessment(), 120)
    assert re.search(r"Component +Score +Production Ready +Notes", text)
    for row in ("Database +8/10 .8.4. +✅", "Caching +7/10 .7.6. +⚠️", "Monitoring +5/10 .5.0. up to 5.0 +❌"):
        assert re.search(row, text), row
    assert "Overall  7/10 ⚠️ 7.1 (6.9 without 2 waivers), up to 7.9; coverage 91 %  target 9/10" in text


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("make", REPORTS.values())
def test_no_line_is_wider_than_the_terminal(make: Callable[[], Report], width: int) -> None:
    report = make()
    # Commands are left to the terminal to wrap: half of one must not be pasted.
    report = replace(report, checks=tuple(replace(check, fix="", verify="") for check in report.checks))
    for verbose in (False, True):
        assert all(cell_len(line) <= width for line in printed(report, width, verbose=verbose).splitlines())


def test_a_command_is_not_broken() -> None:
    fix = "fix for Express app.use((req, res) => res.status(404).json({ error: 'not found' }));\n"
    assert fix in printed(assessment(), 60)


def test_a_long_fix_is_cut_unless_all_is_asked_for() -> None:
    short, long = printed(assessment(), 100), printed(assessment(), 100, verbose=True)
    assert "fix for Express\n" in short
    assert "… and 2 more lines, -v for all" in short
    assert "            });\n" not in short
    assert "            });\n" in long
    assert "more lines" not in long
    assert "            app.get('/health', async (req, res) => {\n" in long


def test_the_trend_and_the_measurements() -> None:
    short, long = printed(assessment(), 100), printed(assessment(), 100, verbose=True)
    assert "Trend    ▅·▆▆▆  5 audits since 2026-01-05 09:30 UTC: 5.2 → 7.1\n" in short
    assert "Trend" not in printed(ready(), 100)
    assert "Database connections" not in short
    assert re.search(r"db1:27017 +24 +3 +815 +0.42 ms", long)
    fewer = replace(assessment(), measurements=assessment().measurements[:-1])
    assert re.search(r"db2:27017 +12 +1 +827 +—", printed(fewer, 100, verbose=True))


def test_quiet_is_one_line() -> None:
    assert printed(assessment(), 40, quiet=True).count("\n") == 1
    assert printed(partial(), quiet=True) == "Overall  —  (5 of 6 components not run)  target 9/10\n"
    assert printed(ready(), quiet=True) == "Overall  10/10 ✅ (10.0)  target 9/10\n"


def test_only_the_gravest_findings_without_verbose() -> None:
    short, long = printed(assessment()), printed(assessment(), verbose=True)
    assert "5 of 8 shown" in short
    assert "database.profiler.enabled" not in short
    assert "database.profiler.enabled" in long
    assert short.index("critical /health") < short.index("high     maxmemory") < short.index("medium   hit rate")


def test_what_was_not_assessed_is_said_in_a_line_each() -> None:
    text = printed(outage(), 160)
    assert "⛔ 5 checks blocked by caching.reach.connect" in text
    assert "caching.memory.limit" not in text
    assert "needs clusterMonitor" in text
    assert "⚪ 2 checks not tested: needs load.allow in the configuration, or --load" in text
    assert "The audit is incomplete.\nRedis: 127.0.0.1:6379 refused the connection" in text


def test_the_overall_ceiling_is_explained() -> None:
    capped = replace(assessment(), score=7.9, cap=Cap(7.9, 8.4, "Monitoring is not ready"))
    assert "capped at 7.9 (8.4 before): Monitoring is not ready" in printed(capped)


def test_colour_only_on_a_terminal() -> None:
    assert "\x1b" not in printed(assessment(), verbose=True)
    assert "\x1b[" in printed(assessment(), color=True)


def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    coloured = re.findall(r"\x1b\[([\d;]*)m", printed(assessment(), color=True))
    assert not [code for code in coloured if re.search(r"\b3[0-7]\b", code)]


def test_a_stream_that_speaks_ascii_only() -> None:
    text = printed(assessment(), encoding="ascii", verbose=True)
    assert "OK" in text
    assert "XX critical" in text


@pytest.mark.parametrize("make", REPORTS.values())
@pytest.mark.parametrize("width", [40, 80])
def test_hostile_text_is_text(make: Callable[[], Report], width: int) -> None:
    for text in (TEXT, "[/nope]", "[red]x[/]", "\x1b]8;;http://evil.example\x07x", ""):
        for verbose in (False, True):
            out = printed(hostile(make(), text), width, verbose=verbose)
            assert not UNSAFE.search(out)
    assert "[/nope]" in printed(hostile(make(), "[/nope]"))


@pytest.mark.parametrize("width", [40, 50, 60, 69])
def test_below_70_columns_the_table_is_a_list_that_breaks_no_word(width: int) -> None:
    text = " ".join(printed(assessment(), width).split())
    assert "Production Ready" not in text
    for component in assessment().components:
        assert f"{component.name} {component.headline}/10 ({component.score:.1f})" in text
        assert " ".join(component.notes.split()) in text
    assert "Error Handling" in printed(assessment(), width, verbose=True)


def test_a_step_of_the_path_says_on_what_it_depends() -> None:
    steps = [line for line in printed(assessment(), 120).splitlines() if "monitoring.prometheus.reach" in line]
    assert "(if the 3 checks that it blocks pass too)" in steps[-1]


def test_where_no_url_was_audited_the_service_is_named_once() -> None:
    head = printed(replace(assessment(), target="artisan-market")).splitlines()[1]
    assert head.strip() == "artisan-market · production · 2026-03-02 09:30 UTC"


def test_one_reason_of_several_systems_is_said_once() -> None:
    paths = {"HttpFacts": "", "ServiceFacts": "/rdy-1", "RobustnessFacts": "/"}
    records = {
        name: SystemRecord(name, "failed", f"GET http://127.0.0.1:9{path}: could not connect (refused)")
        for name, path in paths.items()
    }
    text = printed(replace(assessment(), incomplete=True, facts=records), 100)
    assert "Http, Service, Robustness: http://127.0.0.1:9: could not connect (refused)" in text
    assert text.count("could not connect") == 1
