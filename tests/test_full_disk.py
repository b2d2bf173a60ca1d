"""A file system without room: what was there stays whole, what is elsewhere is still written, and all is said."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from readiness import history
from readiness.errors import ConfigError
from readiness.model import Report
from readiness.report import ROOM

from .hostile.real_servers import until
from .hostile.recording import recording
from .report.sample import assessment

pytestmark = pytest.mark.timeout(300)
FULL = "No space left on device"
PAGE = 4096  # of a tmpfs, and of SQLite


def mounted(folder: Path, kilobytes: int) -> bool:
    argv = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "readiness-test", str(folder)]
    return shutil.which("mount") is not None and subprocess.run(argv, capture_output=True, check=False).returncode == 0


@functools.cache
def possible() -> bool:
    """Whether this machine lets us mount a file system; found out once, by trying."""
    with tempfile.TemporaryDirectory() as folder:
        if not mounted(Path(folder), 64):
            return False
        subprocess.run(["umount", folder], check=True)
        return True


@contextlib.contextmanager
def disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system of its own of that size, in a new folder `disk`."""
    if not possible():
        pytest.skip("needs the right to mount a tmpfs")
    path = folder / "disk"
    path.mkdir()
    assert mounted(path, kilobytes)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path, left: int = 0) -> None:
    """Takes all of the room but for `left` bytes."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(PAGE))
    os.truncate(ballast, ballast.stat().st_size - left)


def held(disk: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in disk.iterdir() if path.name != "ballast"}


def audit(folder: Path, url: str, *arguments: str, stdout: Path | None = None) -> subprocess.CompletedProcess[str]:
    configuration = folder / "readiness.yaml"
    configuration.write_text(f"http: {{url: '{url}'}}\nlimits: {{window_seconds: 0.2}}\n")
    argv = [sys.executable, "-m", "readiness", "audit", "-c", str(configuration), "--no-ci", *arguments]
    with (stdout or folder / "stdout").open("w+", encoding="utf-8") as out:
        done = subprocess.run(argv, cwd=folder, stdout=out, stderr=-1, encoding="utf-8", timeout=90, check=False)
        out.seek(0)
        done.stdout = out.read()
    assert "Traceback" not in done.stderr
    assert "a bug" not in done.stderr
    return done


def recorded(path: Path, report: Report) -> str:
    """Why it could not be, if so."""
    try:
        history.record(path, report)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("option", "kilobytes"), [("-o", 64), ("-o", 900), ("--save-facts", 256)])
def test_too_little_room_is_found_before_anything_is_contacted(tmp_path: Path, option: str, kilobytes: int) -> None:
    assert kilobytes * 1024 < ROOM
    with disk(tmp_path, kilobytes) as small, recording("127.0.0.1") as server:
        path = small / "report.json"
        path.write_text("old")
        url = f"http://127.0.0.1:{server.server_port}"
        done = audit(tmp_path, url, "-o", str(tmp_path / "other.html"), option, str(path))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"readiness: cannot write {path}: {FULL}\n"
        assert server.asked == []
        assert held(small) == {"report.json": b"old"}
        assert not (tmp_path / "other.html").exists()


@pytest.mark.parametrize("left", [0, 2 * PAGE])
def test_a_disk_that_fills_up_during_the_audit_takes_nothing_else_with_it(tmp_path: Path, left: int) -> None:
    with disk(tmp_path, 2048) as small, recording("127.0.0.1") as server, ThreadPoolExecutor(1) as pool:
        lost = [small / name for name in ("facts.json", "history.db", "report.html", "report.json")]
        lost[2].write_text("old")
        wanted = ["--save-facts", str(lost[0]), f"--history={lost[1]}", "-o", str(lost[2]), "-o", str(lost[3])]
        others = [tmp_path / "report.json", tmp_path / "report.md"]
        wanted += [part for path in others for part in ("-o", str(path))]
        done = pool.submit(audit, tmp_path, f"http://127.0.0.1:{server.server_port}", *wanted)
        until(lambda: bool(server.asked))
        fill(small, left)
        code, stdout, stderr = done.result().returncode, done.result().stdout, done.result().stderr
        assert code == 2, stderr
        for path in lost:
            reason = "cannot be used: database or disk is full" if path.suffix == ".db" else FULL
            assert [line for line in stderr.splitlines() if str(path) in line and reason in line], stderr
        # An empty history is one that begins.
        assert held(small) == {"report.html": b"old", "history.db": b""}
    assert json.loads(others[0].read_text())["score"] is not None
    assert others[1].read_text().startswith("#")
    assert "Overall" in stdout


def test_a_table_for_which_there_is_no_room_is_no_bug(tmp_path: Path) -> None:
    with disk(tmp_path, 64) as small, recording("127.0.0.1") as server:
        fill(small)
        url, path = f"http://127.0.0.1:{server.server_port}", tmp_path / "report.json"
        done = audit(tmp_path, url, "-o", str(path), stdout=small / "table")
        assert done.returncode == 2, done.stderr
        assert done.stderr.endswith(f"readiness: cannot write to standard output: {FULL}\n")
        assert json.loads(path.read_text())["score"] is not None


def test_a_history_without_room_is_left_as_it_was_however_little_lacks(tmp_path: Path) -> None:
    """A transaction that fails at its first page, at its last, or in the middle, with a journal or without."""
    with disk(tmp_path, 1024) as small:
        path, refused = small / "history.db", []
        history.record(path, assessment())
        for left in range(24):
            fill(small, left * PAGE)
            before = len(history.runs(path))
            report = replace(assessment(), started_at=f"2030-01-01T00:{left:02d}:00+00:00", service="s" * 3 * PAGE)
            why = recorded(path, report)
            assert why in ("", f"{path}: cannot be used: database or disk is full")
            refused.append(why != "")
            with contextlib.closing(sqlite3.connect(path)) as database:
                assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert len(history.runs(path)) == before + (not refused[-1])
            assert {each.name for each in small.iterdir()} == {"ballast", "history.db"}
    assert refused[0]
    assert not refused[-1], "with room again, it goes on"
