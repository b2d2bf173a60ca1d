"""The command, in a copy of a process that has imported it: starting an interpreter costs more than most audits here.

Whatever begins at `main()` is as in a process of its own: arguments, environment, folder, streams, exit code, and what
Python does at exit. What a test needs an untouched interpreter for, such as signals or options of it, starts one.
"""

from __future__ import annotations

import atexit
import math
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from readiness.fleet.forks import ForkLost, Forks

_forks = Forks()
atexit.register(_forks.close)


@dataclass(frozen=True)
class Done:
    """`megabytes` is the greatest resident memory."""

    returncode: int
    stdout: str
    stderr: str
    megabytes: float


def readiness(*arguments: str, cwd: Path, env: Mapping[str, str], seconds: float) -> Done:
    """`readiness ARGUMENTS`. Raises AssertionError where it has not ended in time."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "stdout"), Path(folder, "stderr")
        try:
            code, megabytes = _forks.call(_command, arguments, str(cwd), dict(env), str(out), str(err), seconds)
        except ForkLost:
            raise AssertionError(f"lost, or still running after {seconds:g} s: {err.read_text()[-2000:]}") from None
        return Done(code, out.read_bytes().decode(), err.read_bytes().decode(), megabytes)


def _command(
    arguments: tuple[str, ...], cwd: str, env: Mapping[str, str], out: str, err: str, seconds: float
) -> tuple[int, float]:
    """In the copy: exit code, and megabytes."""
    signal.setitimer(signal.ITIMER_REAL, seconds)  # which ends the process
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for path, stream in ((os.devnull, 0), (out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), stream)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(fd, mode, encoding="utf-8") for fd, mode in enumerate("rww"))
    sys.argv = ["readiness", *arguments]
    code = _main()
    sys.stdout.flush()
    sys.stderr.flush()
    return code, most_megabytes()


def most_megabytes(pid: int | str = "self") -> float:
    """The greatest resident memory of a process so far; not a number where it has ended, or nobody tells.

    What the kernel itself says of an ended process begins with the memory of its parent.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError):
        return math.nan  # which is below no limit


class _AtOnce(SystemExit):
    """Instead of `os._exit`, after which nobody could say how it ended."""


def _main() -> int:
    """The command's exit code, once the process could end."""
    from readiness.cli import main

    def at_once(code: int) -> NoReturn:
        raise _AtOnce(code)

    own, os._exit = os._exit, at_once
    try:
        main()
        code: object = 0
    except _AtOnce as end:
        return int(end.args[0])
    except SystemExit as end:
        code = end.code
    finally:
        os._exit = own
    # As at the end of an interpreter: a thread that does not end would show.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    return code if isinstance(code, int) else 1 if code else 0
