from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from readiness.errors import ConfigError
from readiness.report import FORMATS, render, target, write

from .sample import assessment


def test_every_format_renders() -> None:
    for name in FORMATS:
        wanted = "monitoring.health.dependencies" if name == "gitlab" else "artisan-market"
        assert wanted in render(assessment(), name)


def test_targets(tmp_path: Path) -> None:
    assert target("-") == ("json", None)
    assert target("md:-") == ("md", None)
    assert target(f"{tmp_path}/a.JSON") == ("json", tmp_path / "a.JSON")
    assert target(f"{tmp_path}/a.htm") == ("html", tmp_path / "a.htm")
    assert target(f"md-short:{tmp_path}/a.txt") == ("md-short", tmp_path / "a.txt")
    assert target(f"html:{tmp_path}/a.md") == ("html", tmp_path / "a.md")
    for extension, name in (
        ("xml", "junit"),
        ("sarif", "sarif"),
        ("svg", "badge"),
        ("csv", "csv"),
        ("prom", "prometheus"),
    ):
        assert target(f"{tmp_path}/a.{extension}") == (name, tmp_path / f"a.{extension}")
    assert target(f"gitlab:{tmp_path}/gl.json") == ("gitlab", tmp_path / "gl.json")
    assert target("github:-") == ("github", None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("report.pdf", "no format for 'report.pdf'"),
        ("report", "no format for"),
        ("odd:report.xyz", "no format for"),
        ("/nowhere/at/all.json", "no folder /nowhere/at"),
    ],
)
def test_targets_that_cannot_be(output: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        target(output)


def test_unknown_format() -> None:
    with pytest.raises(ConfigError, match="unknown format 'pdf'"):
        render(assessment(), "pdf")


def test_write_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    path.write_text("old")
    path.chmod(0o640)
    write(path, "nöw ✅\n")
    assert path.read_bytes() == "nöw ✅\n".encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_write_follows_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real.md").write_text("old")
    (tmp_path / "link.md").symlink_to("real.md")
    write(tmp_path / "link.md", "new")
    assert (tmp_path / "link.md").is_symlink()
    assert (tmp_path / "real.md").read_text() == "new"


def test_write_that_fails_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.md"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_into_a_folder_or_nowhere(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "report.md", tmp_path / "file" / "report.md"):
        (tmp_path / "file").touch()
        with pytest.raises(ConfigError):
            write(path, "x")


def test_write_into_a_locked_folder() -> None:
    # /proc refuses root too, which a folder without the write bit does not.
    with pytest.raises(ConfigError, match="cannot write"):
        write(Path("/proc/report.md"), "x")


LIMITED = """
import resource, sys
from pathlib import Path
from readiness.errors import ConfigError
from readiness.report import target, write
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    target(sys.argv[2]) if sys.argv[1] == "target" else write(Path(sys.argv[2]), "x" * 5_000_000)
except ConfigError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("step", ["target", "write"])
def test_a_disk_without_room_is_found_and_left_as_it_was(tmp_path: Path, step: str) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    command = [sys.executable, "-c", LIMITED, step, str(path), "500000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == f"cannot write {path}: File too large\n"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, signal, sys
from pathlib import Path
import readiness.report as report
def sync(descriptor):
    os.ftruncate(descriptor, 1000)
    print(flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
os.fsync = sync
report.write(Path(sys.argv[1]), "new" * 100_000)
"""


def test_a_kill_in_the_middle_of_writing_leaves_the_old_report(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for before in (None, "old"):
        if before is not None:
            path.write_text(before)
        done = subprocess.run([sys.executable, "-c", KILLED, str(path)], capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (-9, b"\n")
        assert (path.read_text() if path.exists() else None) == before
    assert all(left.name.endswith(".tmp") for left in tmp_path.iterdir() if left != path)


def test_write_to_a_device() -> None:
    write(Path("/dev/null"), "x")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(ConfigError, match="No space left"):
        write(Path("/dev/full"), "x")


def test_jinja2_is_imported_only_for_templates() -> None:
    code = (
        "import sys, readiness.report, readiness.report.text, readiness.report.json_format, readiness.report.terminal;"
        "sys.exit(' '.join({'jinja2', 'pydantic', 'markupsafe'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
