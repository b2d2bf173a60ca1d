"""What is told while probes are at work."""

from __future__ import annotations

import io
import os
import pty
import select
import subprocess
import sys

import pytest

from readiness.facts.collected import Outcome
from readiness.progress import MARKS, Board, reporter

LIVE = """
import time
from readiness.facts.collected import Outcome
from readiness.progress import reporter
with reporter(False) as progress:
    for name in ("HttpFacts", "TlsFacts", "MongoFacts", "RedisFacts", "QueueFacts"):
        progress(name, None)
    time.sleep(0.4)
    progress("TlsFacts", Outcome.COLLECTED)
    progress("RedisFacts", Outcome.FAILED)
    time.sleep(0.4)
    for name in ("HttpFacts", "MongoFacts", "QueueFacts"):
        progress(name, Outcome.COLLECTED)
    time.sleep(0.4)
"""


def test_a_line_for_each_finished_probe_where_nobody_watches(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with reporter(False) as progress:
        progress("HttpFacts", None)
        progress("HttpFacts", Outcome.COLLECTED)
        progress("RedisFacts", Outcome.FAILED)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [line.split()[:2] for line in captured.err.splitlines()] == [["✓", "http"], ["✗", "redis"]]


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with reporter(True) as progress:
        progress("HttpFacts", Outcome.COLLECTED)
    assert capsys.readouterr().err == ""


def test_a_stream_that_speaks_ascii_only(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii"))
    with reporter(False) as progress:
        progress("HttpFacts", Outcome.COLLECTED)
        progress("RedisFacts", Outcome.FAILED)
    sys.stderr.flush()
    assert [line.split()[:2] for line in raw.getvalue().decode().splitlines()] == [["ok", "http"], ["FAILED", "redis"]]


def test_a_row_for_each_system() -> None:
    board = Board(MARKS)
    for name in ("HttpFacts", "TlsFacts", "RedisFacts", "QueueFacts"):
        board.note(name, None)
    board.note("TlsFacts", Outcome.COLLECTED)
    board.note("RedisFacts", Outcome.FAILED)
    board.note("QueueFacts", Outcome.COLLECTED)
    rows = list(board.rows())
    assert rows[0] == ("", "Service", "http")
    assert rows[1] == ("✗", "Redis", "redis")
    assert rows[2][:2] == ("✓", "queue")  # of another pack
    assert rows[2][2].endswith(" s")
    board.note("HttpFacts", Outcome.INTERRUPTED)
    assert next(iter(board.rows())) == ("■", "Service", "http")


@pytest.mark.parametrize("columns", [30, 100])
def test_live_on_a_terminal(columns: int) -> None:
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": str(columns), "LINES": "30", "NO_COLOR": "1"}
    process = subprocess.Popen([sys.executable, "-c", LIVE], stderr=slave, stdout=subprocess.PIPE, env=environment)
    os.close(slave)
    shown = bytearray()
    while select.select([master], [], [], 20)[0]:
        try:
            part = os.read(master, 65_536)
        except OSError:  # the other end was closed
            break
        if not part:
            break
        shown += part
    os.close(master)
    assert process.wait(20) == 0
    assert process.stdout is not None
    assert process.stdout.read() == b""
    process.stdout.close()
    text = shown.decode()
    for words in ("Service", "MongoDB", "✗ Redis", "judging"):
        assert words in text, text[-2000:]
    assert text.index("MongoDB") < text.index("✓ MongoDB")
    assert "\x1b[3" not in text.replace("\x1b[3A", "")  # no colour
