"""The history of audits: the published figures of each run in one SQLite file, about 3 kB a run.

A run is written in one transaction, so a killed audit leaves nothing of itself behind and two audits at once wait for
each other. Kept are scores and the status of each check; no message, no evidence, nothing that a system sent.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from readiness.errors import ConfigError
from readiness.model import Past, Report, Status
from readiness.report.text import clean

APPLICATION = 0x72647973  # "rdys" in the file's header: tells a history from any other database
SCHEMA = 1
BUSY_SECONDS = 10.0
SHOWN = 50
"""How many earlier runs a report carries for its chart."""

_TABLES = """
CREATE TABLE runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  service TEXT NOT NULL, environment TEXT NOT NULL, target TEXT NOT NULL, started_at TEXT NOT NULL,
  duration REAL NOT NULL, version TEXT NOT NULL, scoring_model TEXT NOT NULL, packs TEXT NOT NULL,
  score REAL, unwaived_score REAL, coverage REAL, upper_bound REAL,
  incomplete INTEGER NOT NULL, interrupted INTEGER NOT NULL, gate INTEGER);
CREATE INDEX series ON runs (service, environment, id);
CREATE TABLE scores (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, component TEXT NOT NULL, score REAL,
  PRIMARY KEY (run, component)) WITHOUT ROWID;
CREATE TABLE checks (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE statuses (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, id INTEGER NOT NULL REFERENCES checks, status TEXT NOT NULL,
  PRIMARY KEY (run, id)) WITHOUT ROWID;
"""
_COLUMNS = (
    "service", "environment", "target", "started_at", "duration", "version", "scoring_model", "packs", "score",
    "unwaived_score", "coverage", "upper_bound", "incomplete", "interrupted", "gate",
)  # fmt: skip
_RANKS = {Status.FAIL: 1, Status.WARN: 2, Status.PASS: 3}


@dataclass(frozen=True, slots=True)
class Run:
    """One recorded audit. `better` and `worse` are the checks whose verdict changed since the run before it."""

    service: str
    environment: str
    started_at: str
    version: str
    scoring_model: str
    score: float | None
    unwaived_score: float | None
    coverage: float | None
    upper_bound: float | None
    incomplete: bool
    interrupted: bool
    gate: bool | None
    components: Mapping[str, float | None] = field(default_factory=dict)
    better: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()


def examine(path: Path) -> None:
    """Raises ConfigError where an audit could not be recorded in this file; asked before anything is contacted.

    A file that does not exist yet is fine, where its folder does or is the default one.
    """
    folder = path.parent
    if path.is_dir():
        raise ConfigError("is a folder", place=str(path), hint="name a file in it")
    if not folder.is_dir() and folder.name != ".readiness":
        raise ConfigError(f"no folder {folder}", place=str(path))
    nearest = folder if folder.is_dir() else folder.parent
    if not os.access(nearest, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise ConfigError(f"no permission to write to {nearest}", place=str(path))
    if path.exists():
        with _open(path) as database:
            _version(database, path)
            _whole(database, path)


def record(path: Path, report: Report, keep: int = 1000) -> tuple[Past, ...]:
    """Appends a finished audit and returns the earlier ones of the same service and environment, oldest first.

    Args:
        keep: how many runs of one service and environment stay; the oldest go.

    Raises:
        ConfigError: the file is damaged, of another program, locked for too long, or cannot be written.
    """
    if path.parent.name == ".readiness":
        with _reported(path):
            path.parent.mkdir(exist_ok=True)
    with _open(path, create=True) as database, _transaction(database):
        if _version(database, path) == 0:
            _create(database)
        _whole(database, path)
        earlier = _runs(database, [(report.service, report.environment)], SHOWN)
        _insert(database, report)
        database.execute(
            "DELETE FROM runs WHERE service = ? AND environment = ? AND id NOT IN (SELECT id FROM runs"
            " WHERE service = ? AND environment = ? ORDER BY id DESC LIMIT ?)",
            (report.service, report.environment) * 2 + (max(1, keep),),
        )
    return tuple(Past(run.started_at, run.score, run.components) for run in earlier)


def runs(path: Path, service: str | None = None, last: int | None = None) -> list[Run]:
    """The recorded audits by service and environment, oldest first in each.

    Args:
        service: only this one.
        last: at most so many of each service and environment.

    Raises:
        ConfigError: there is no such file, it is damaged, or it is no history.
    """
    if not path.is_file():
        raise ConfigError("no such file", place=str(path), hint="`readiness audit --history` begins one")
    with _open(path) as database:
        database.execute("BEGIN")  # one state of the file, whatever an audit writes meanwhile
        if _version(database, path) == 0:
            return []
        _whole(database, path)
        found = database.execute("SELECT DISTINCT service, environment FROM runs ORDER BY service, environment")
        series = [(str(name), str(environment)) for name, environment in found]
        return _runs(database, [each for each in series if service in (None, clean(each[0]))], last)


# --- rows ------------------------------------------------------------------------------------------------------------


def _create(database: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        database.execute(statement)
    database.execute(f"PRAGMA application_id = {APPLICATION}")
    database.execute(f"PRAGMA user_version = {SCHEMA}")


def _insert(database: sqlite3.Connection, report: Report) -> None:
    values = {
        "packs": " ".join(f"{pack.name}@{pack.version}#{pack.sha256[:12]}" for pack in report.tool.packs),
        "version": report.tool.version,
        "scoring_model": report.tool.scoring_model,
        "duration": report.duration_seconds,
        "gate": report.gate.passed,
    }
    row = [values.get(name, getattr(report, name, None)) for name in _COLUMNS]
    marks = ", ".join("?" * len(_COLUMNS))
    run = database.execute(f"INSERT INTO runs ({', '.join(_COLUMNS)}) VALUES ({marks})", row).lastrowid
    scores = [(run, component.id, component.score) for component in report.components]
    database.executemany("INSERT INTO scores VALUES (?, ?, ?)", scores)
    database.executemany("INSERT OR IGNORE INTO checks (name) VALUES (?)", [(check.id,) for check in report.checks])
    statuses = [(run, check.status.value, check.id) for check in report.checks]
    database.executemany("INSERT OR IGNORE INTO statuses SELECT ?, id, ? FROM checks WHERE name = ?", statuses)


def _runs(database: sqlite3.Connection, series: Sequence[tuple[str, str]], last: int | None) -> list[Run]:
    found = []
    for service, environment in series:
        before: dict[str, str] | None = None
        query = f"SELECT id, {', '.join(_COLUMNS)} FROM runs WHERE service = ? AND environment = ?"
        rows = database.execute(
            f"{query} ORDER BY id DESC LIMIT ?", (service, environment, -1 if last is None else last)
        )
        for id, *row in reversed(rows.fetchall()):
            scores = database.execute("SELECT component, score FROM scores WHERE run = ?", (id,))
            query = "SELECT checks.name, status FROM statuses JOIN checks USING (id) WHERE run = ?"
            statuses = {str(name): str(status) for name, status in database.execute(query, (id,))}
            components = {clean(str(name)): _figure(score) for name, score in scores}
            found.append(_run(dict(zip(_COLUMNS, row, strict=True)), components, before, statuses))
            before = statuses
    return found


def _run(
    row: Mapping[str, object],
    components: Mapping[str, float | None],
    before: Mapping[str, str] | None,
    now: Mapping[str, str],
) -> Run:
    ranks = {status.value: rank for status, rank in _RANKS.items()}
    moved = {
        name: ranks[now[name]] - ranks[was]
        for name, was in (before or {}).items()
        if was in ranks and now.get(name) in ranks
    }
    return Run(
        service=clean(str(row["service"])),
        environment=clean(str(row["environment"])),
        started_at=clean(str(row["started_at"])),
        version=clean(str(row["version"])),
        scoring_model=clean(str(row["scoring_model"])),
        score=_figure(row["score"]),
        unwaived_score=_figure(row["unwaived_score"]),
        coverage=_figure(row["coverage"]),
        upper_bound=_figure(row["upper_bound"]),
        incomplete=bool(row["incomplete"]),
        interrupted=bool(row["interrupted"]),
        gate=None if row["gate"] is None else bool(row["gate"]),
        components=components,
        better=tuple(sorted(clean(name) for name, change in moved.items() if change > 0)),
        worse=tuple(sorted(clean(name) for name, change in moved.items() if change < 0)),
    )


def _figure(value: object) -> float | None:
    """A number from a file that anybody may have written to."""
    return float(value) if isinstance(value, (int, float)) and abs(value) <= 1000 else None


# --- the file --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _open(path: Path, create: bool = False) -> Iterator[sqlite3.Connection]:
    # Read and write even to look: what a killed process began must be rolled back first.
    uri = f"file:{quote(str(path.resolve()))}?mode={'rwc' if create else 'rw'}"
    with _reported(path):
        database = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        with contextlib.closing(database):
            database.execute("PRAGMA foreign_keys = ON")
            database.execute("PRAGMA trusted_schema = OFF")
            yield database


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")  # waits here for another audit, and not between reading and writing
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise


def _version(database: sqlite3.Connection, path: Path) -> int:
    """The schema of the file, 0 where it is new."""
    application, version, tables = (
        int(database.execute(query).fetchone()[0])
        for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if (application, version, tables) == (0, 0, 0):
        return 0
    if application != APPLICATION:
        raise ConfigError("is a database, but no history of readiness", place=str(path), hint="name another file")
    if not 1 <= version <= SCHEMA:
        hint = "a newer readiness wrote it"
        raise ConfigError(f"has schema {version}; this readiness knows {SCHEMA}", place=str(path), hint=hint)
    return version


def _whole(database: sqlite3.Connection, path: Path) -> None:
    problem = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    if problem != "ok":
        raise _damaged(path, problem)


def _damaged(path: Path, problem: str) -> ConfigError:
    hint = f"move it away to begin a new one; `sqlite3 {path.name} .recover` rescues what it holds"
    return ConfigError(f"is damaged: {clean(problem)[:200]}", place=str(path), hint=hint)


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turns what SQLite and the file system say into one sentence with the file's name."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror or error}", place=str(path)) from None
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_NOTADB"):
            raise ConfigError("is no history of readiness, nor any database", place=str(path)) from None
        if name.startswith("SQLITE_CORRUPT") or isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)):
            raise _damaged(path, str(error)) from None
        if name.startswith("SQLITE_BUSY"):
            reason = f"is locked by another process for more than {BUSY_SECONDS:.0f} s"
            raise ConfigError(reason, place=str(path)) from None
        if "no such" in str(error):
            raise _damaged(path, str(error)) from None
        raise ConfigError(f"cannot be used: {error}", place=str(path)) from None
