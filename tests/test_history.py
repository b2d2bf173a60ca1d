"""The history of audits: one transaction a run, two audits at once, a kill in the middle, files that are none."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from readiness import history
from readiness.errors import ConfigError
from readiness.model import CheckResult, Report, Status
from readiness.report import trend
from readiness.report.trend import sparkline

from .report.sample import assessment, outage, partial

HERE = Path(__file__).parent


def at(minute: int, report: Report | None = None, **more: Any) -> Report:
    return replace(report or assessment(), started_at=f"2030-01-01T00:{minute:02d}:00+00:00", **more)


def sql(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as database, database:
        return database.execute(query).fetchall()


def test_what_is_recorded_comes_back_oldest_first(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    assert history.record(path, at(1)) == ()
    earlier = history.record(path, at(2, outage()))
    assert [(past.started_at, past.score) for past in earlier] == [(at(1).started_at, assessment().score)]
    assert earlier[0].components["database"] == 8.4
    first, second = history.runs(path)
    assert (first.score, first.unwaived_score, first.coverage, first.gate) == (7.1, 6.9, 0.91, False)
    assert second.incomplete
    assert "caching.memory.policy" not in first.worse
    assert second.components["caching"] == 0.0


def test_what_became_better_and_worse_is_told(tmp_path: Path) -> None:
    path, before = tmp_path / "h.db", assessment()
    turned = {Status.FAIL: Status.PASS, Status.PASS: Status.FAIL}

    def turn(check: CheckResult) -> CheckResult:
        return replace(check, status=turned.get(check.status, check.status))

    history.record(path, at(1))
    history.record(path, at(2, replace(before, checks=tuple(map(turn, before.checks)))))
    last = history.runs(path)[-1]
    assert set(last.better) == {check.id for check in before.checks if check.status is Status.FAIL}
    assert set(last.worse) == {check.id for check in before.checks if check.status is Status.PASS}


def test_services_and_environments_are_apart(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    history.record(path, at(1))
    history.record(path, at(2, service="cart"))
    assert history.record(path, at(3, environment="staging")) == ()
    assert len(history.record(path, at(4))) == 1
    assert [run.started_at[14:16] for run in history.runs(path)] == ["01", "04", "03", "02"]
    assert [run.service for run in history.runs(path, "cart")] == ["cart"]
    assert [run.started_at[14:16] for run in history.runs(path, last=1)] == ["04", "03", "02"]


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    for minute in range(6):
        history.record(path, at(minute), keep=3)
    history.record(path, at(9, service="cart"), keep=3)
    assert [run.started_at[14:16] for run in history.runs(path, assessment().service)] == ["03", "04", "05"]
    assert sql(path, "SELECT count(DISTINCT run) FROM statuses") == [(4,)]
    assert sql(path, "SELECT count(DISTINCT run) FROM scores") == [(4,)]


def test_a_run_takes_a_few_kilobytes(tmp_path: Path) -> None:
    path, report = tmp_path / "h.db", assessment()
    checks = tuple(replace(report.checks[0], id=f"database.number{n}") for n in range(250))
    for minute in range(50):
        history.record(path, at(minute, checks=checks))
    assert path.stat().st_size < 50 * 6_000


def test_no_text_of_the_audited_system_is_kept(tmp_path: Path) -> None:
    path, report = tmp_path / "h.db", assessment()
    secret = "s3cret-sentinel"
    checks = tuple(
        replace(c, message=secret, observed=secret, expected=secret, evidence={secret: secret}, fix=secret)
        for c in report.checks
    )
    history.record(path, at(1, checks=checks, notices=(secret,)))
    assert secret.encode() not in path.read_bytes()


# --- many at once, and a kill ----------------------------------------------------------------------------------------

RECORD = """
import sys
from dataclasses import replace
from pathlib import Path
from readiness import history
from readiness.report import json_format

path, report, count = Path(sys.argv[1]), json_format.load(Path(sys.argv[2]).read_text(), ""), int(sys.argv[3])
for n in range(count):
    history.record(path, replace(report, started_at=f"{sys.argv[4]}-{n}"))
"""


def saved(folder: Path) -> Path:
    from readiness.report import json_format

    path = folder / "report.json"
    path.write_text(json_format.dump(assessment()))
    return path


def test_two_audits_at_once_both_leave_their_record(tmp_path: Path) -> None:
    path, report = tmp_path / ".readiness/h.db", saved(tmp_path)  # they race for the folder and the tables as well
    command = [sys.executable, "-c", RECORD, str(path), str(report), "10"]
    processes = [subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in ("a", "b", "c")]
    assert [process.communicate(timeout=60)[1] for process in processes] == ["", "", ""]
    assert sql(path, "PRAGMA integrity_check") == [("ok",)]
    assert sorted(run.started_at for run in history.runs(path)) == sorted(f"{a}-{n}" for a in "abc" for n in range(10))


def test_threads_at_once(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda minute: history.record(path, at(minute)), range(16)))
    assert len(history.runs(path)) == 16


KILLED = """
import sqlite3, sys, time
from pathlib import Path
from readiness import history
from readiness.report import json_format

path, report = Path(sys.argv[1]), json_format.load(Path(sys.argv[2]).read_text(), "")
insert = history._insert

def half(database, report):
    database.execute("PRAGMA cache_size = 1")  # so that what is not committed yet reaches the file
    for _ in range(200):
        insert(database, report)
    database.execute("DELETE FROM runs WHERE id = 1")
    print("written", flush=True)
    time.sleep(60)

history._insert = half
history.record(path, report)
"""


@pytest.fixture
def in_the_middle(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    path, report = tmp_path / "h.db", saved(tmp_path)
    history.record(path, at(1))
    command = [sys.executable, "-c", KILLED, str(path), str(report)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    yield path, process
    process.kill()
    process.communicate()


def test_a_kill_in_the_middle_of_a_write_leaves_what_was_there(
    in_the_middle: tuple[Path, subprocess.Popen[str]],
) -> None:
    path, process = in_the_middle
    journal = path.with_name(path.name + "-journal")
    assert journal.stat().st_size > 0
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert journal.exists()
    assert [run.started_at for run in history.runs(path)] == [at(1).started_at]
    history.record(path, at(2))
    assert sql(path, "PRAGMA integrity_check") == [("ok",)]
    assert len(history.runs(path)) == 2
    assert not journal.exists()


def test_an_audit_waits_for_another_one_and_gives_up_with_a_sentence(
    in_the_middle: tuple[Path, subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = in_the_middle
    monkeypatch.setattr(history, "BUSY_SECONDS", 0.3)
    with pytest.raises(ConfigError, match="locked by another process"):
        history.record(path, at(2))


# --- files that are no history ---------------------------------------------------------------------------------------


def foreign(path: Path) -> None:
    sql(path, "CREATE TABLE t (a)")


def newer(path: Path) -> None:
    history.record(path, at(1))
    sql(path, "PRAGMA user_version = 7")


def text(path: Path) -> None:
    path.write_text("no database at all, but long enough to look like one " * 100)


def damaged(path: Path) -> None:
    for minute in range(20):
        history.record(path, at(minute))
    content = bytearray(path.read_bytes())
    content[4096:12288] = os.urandom(8192)
    path.write_bytes(content)


def truncated(path: Path) -> None:
    for minute in range(20):
        history.record(path, at(minute))
    path.write_bytes(path.read_bytes()[:-9000])


def without_a_table(path: Path) -> None:
    history.record(path, at(1))
    sql(path, "DROP TABLE scores")


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (foreign, "no history of readiness"),
        (newer, "schema 7; this readiness knows 1"),
        (text, "nor any database"),
        (damaged, "is damaged"),
        (truncated, "is damaged"),
        (without_a_table, "is damaged"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_left_alone(make: Any, says: str, tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    make(path)
    before = path.read_bytes()
    for use in (history.runs, lambda path: history.record(path, at(30))):
        with pytest.raises(ConfigError, match=says) as caught:
            use(path)
        assert caught.value.place == str(path)
    if make is not without_a_table:
        with pytest.raises(ConfigError, match=says):
            history.examine(path)
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_refused_beforehand(tmp_path: Path) -> None:
    history.examine(tmp_path / "new.db")
    history.examine(tmp_path / ".readiness/history.db")
    for path in (tmp_path, tmp_path / "none/h.db"):
        with pytest.raises(ConfigError):
            history.examine(path)
    assert not (tmp_path / ".readiness").exists()
    with pytest.raises(ConfigError, match="no such file"):
        history.runs(tmp_path / "new.db")


def test_an_empty_file_is_a_history_that_begins(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    path.touch()
    history.examine(path)
    assert history.runs(path) == []
    history.record(path, at(1))
    assert len(history.runs(path)) == 1


def test_values_of_a_stranger_are_read_as_plain_text_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    history.record(path, at(1))
    sql(path, "UPDATE runs SET service = 'a' || char(27) || '[31m', score = 'x', coverage = 9e99, gate = 'y'")
    [run] = history.runs(path)
    assert (run.service, run.score, run.coverage) == ("a␛[31m", None, None)


# --- how it reads ----------------------------------------------------------------------------------------------------


def test_a_sparkline_has_a_fixed_scale() -> None:
    assert sparkline([0, 1.2, 2.4, 5, 7.4, 8.7, 9.9, 10, None]) == "▁▁▂▅▆▇██·"
    assert sparkline([0, 5, 10, None], plain=True) == "_=#·"


def shown(path: Path, width: int = 80, encoding: str = "utf-8", **options: bool) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    trend.to_terminal(history.runs(path), Console(file=file, width=width), **options)
    file.flush()
    return raw.getvalue().decode(encoding)


def test_the_terminal_shows_a_trend_for_each_component(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    for minute, report in enumerate([assessment(), partial(), outage()]):
        history.record(path, at(minute, report, service="shop", environment="live"))
    text = shown(path)
    assert "shop · live" in text
    assert "3 audits" in text
    caching = next(line for line in text.splitlines() if "Caching" in line)
    assert caching.split() == ["Caching", "▇·▁", "7.6", "0.0", "-7.6"]
    assert "incomplete" in shown(path, verbose=True)
    assert "*-_" in shown(path, encoding="ascii")
    for width in (50, 80):
        assert all(cell_len(line) <= width for line in shown(path, width, verbose=True).splitlines())


def test_json_and_csv_hold_every_run(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    history.record(path, at(1, service="=cmd()"))
    history.record(path, at(2, outage(), service="=cmd()"))
    runs = history.runs(path)
    data = json.loads(trend.to_json(runs))
    assert data["kind"] == "history"
    assert [run["components"]["caching"] for run in data["runs"]] == [7.6, 0.0]
    lines = trend.to_csv(runs).splitlines()
    assert lines[0].startswith('"service","environment","started_at"')
    assert lines[1].startswith('"\'=cmd()"')
    assert len(lines) == 3
