"""Runs the installed command against a hostile target and looks at everything that it left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..forked import Done, most_megabytes, readiness  # noqa: TID252

DEADLINE_SECONDS = 6
LIMITS = {
    "connect_seconds": 1,
    "handshake_seconds": 1,
    "read_seconds": 1,
    "request_seconds": 1,
    "probe_seconds": 4,
    "window_seconds": 0.3,
    "audit_seconds": DEADLINE_SECONDS,
}
MOST_MB = 250
START_SECONDS = 30  # an interpreter on a machine that runs several at once

# What a terminal, an editor or a log viewer would obey.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


@dataclass(frozen=True)
class Outcome:
    """What one audit left behind. `texts` are its output streams and files, by name."""

    code: int
    seconds: float
    megabytes: float
    texts: dict[str, str]

    @property
    def report(self) -> dict[str, Any]:
        def refuse(word: str) -> None:
            raise ValueError(f"{word} is not JSON")

        loaded: dict[str, Any] = json.loads(self.texts["json"], parse_constant=refuse)
        return loaded

    def statuses(self, prefix: str = "") -> dict[str, str]:
        return {check["id"]: check["status"] for check in self.report["checks"] if check["id"].startswith(prefix)}


def audit(
    folder: Path, configuration: dict[str, Any], formats: Iterable[str] = ("json",), through: Iterable[str] = ()
) -> Outcome:
    """One audit in a process of its own, with a gate that a hostile target must not pass.

    Args:
        through: a command that becomes the audit, in the same process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    limits = LIMITS | configuration.get("limits", {})
    gated = configuration | {"gate": {"fail_under": 9} | configuration.get("gate", {}), "limits": limits}
    (folder / "readiness.yaml").write_text(yaml.safe_dump(gated))
    files = {name: folder / f"report.{name}" for name in formats}
    outputs = [part for name, path in files.items() for part in ("-o", f"{name}:{path}")]
    arguments = ["audit", "-c", "readiness.yaml", "-v", *outputs]
    environment = {name: value for name, value in os.environ.items() if name not in ("GITHUB_ACTIONS", "GITLAB_CI")}
    environment |= {"HOME": str(folder), "LANG": "C.UTF-8", "COLUMNS": "200"}
    seconds = limits["audit_seconds"] + START_SECONDS
    began = time.monotonic()
    if through:
        argv = [*through, sys.executable, "-m", "readiness", *arguments]
        done = _started(argv, folder, environment, seconds)
    else:
        done = readiness(*arguments, cwd=folder, env=environment, seconds=seconds)
    elapsed = time.monotonic() - began
    texts = {name: path.read_bytes().decode() for name, path in files.items()}
    return Outcome(done.returncode, elapsed, done.megabytes, texts | {"stdout": done.stdout, "stderr": done.stderr})


def _started(argv: list[str], folder: Path, environment: dict[str, str], seconds: float) -> Done:
    """A process that must end in time, and its greatest resident memory, read while it runs."""
    streams = out, err = folder / "stdout", folder / "stderr"
    with out.open("wb") as to_out, err.open("wb") as to_err:
        process = subprocess.Popen(
            argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=to_out, stderr=to_err, env=environment
        )
        deadline, most = time.monotonic() + seconds, 0.0
        while process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise AssertionError(f"still running after {seconds:g} s")
            most = max(most, most_megabytes(process.pid))  # the first where the other is no number
            time.sleep(0.02)
    return Done(process.returncode, *(stream.read_bytes().decode() for stream in streams), megabytes=most)


def assert_unharmed(outcome: Outcome, seconds: float = DEADLINE_SECONDS) -> None:
    """What must hold of every audit that was given so many seconds, whatever the target did."""
    shown = outcome.texts["stderr"][-2000:]
    assert outcome.code in (1, 3), shown
    for name, text in outcome.texts.items():
        assert "Traceback (most recent call last)" not in text, f"{name}: {shown}"
        found = CONTROL.search(text.replace("\r\n", "\n") if name == "csv" else text)
        assert found is None, f"{name}: {text[max(0, found.start() - 60) : found.end() + 20]!r}"
    assert outcome.report["duration_seconds"] <= seconds + 1
    assert outcome.megabytes < MOST_MB
