"""The frozen types that everything else speaks; the report's JSON is these and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any

from readiness.change import Comparison

SCHEMA_VERSION = "1"

COMPONENTS: Mapping[str, str] = {
    "database": "Database",
    "caching": "Caching",
    "security": "Security",
    "monitoring": "Monitoring",
    "error_handling": "Error Handling",
    "performance": "Performance",
}
"""Component ids in the order of the report, with their names."""

ON_DEMAND: Mapping[str, str] = {"scalability": "Scalability"}
"""Components that exist only where there is something to judge: without it they have no row and cost no coverage."""

CHECKLIST: Mapping[int, tuple[str, ...]] = {
    1: ("Redis Integration", "Security Headers", "Input Sanitization", "Monitoring", "Error Tracking"),
    2: ("Database Optimization", "Caching Strategy", "CDN Integration", "Load Balancing"),
    3: ("Microservices", "Container Orchestration", "Auto-scaling", "Database Sharding"),
}
"""The deployment checklist: phase -> items. A check names the item that it is evidence for."""


STACKS: Mapping[str, str] = {
    "nginx": "nginx",
    "kubernetes": "Kubernetes",
    "express": "Express",
    "node": "Node.js",
    "fastapi": "FastAPI",
    "django": "Django",
    "python": "Python",
    "mongosh": "mongosh",
    "redis-cli": "redis-cli",
}
"""What a fix can be written for, with its name. FastAPI stands for every Starlette application."""

TOOLS = ("mongosh", "redis-cli")
"""Those that are at hand wherever their system is."""

RUNTIMES: Mapping[str, str] = {"express": "node", "fastapi": "python", "django": "python"}
"""Frameworks and what they run on."""


class Severity(StrEnum):
    """What happens to users if this is wrong; a property of the check, not of its result."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for critical, 4 for info: sorts the gravest first."""
        return list(Severity).index(self)


class Status(StrEnum):
    """The outcome of one check in one audit."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    ERROR = "error"
    BLOCKED = "blocked"
    SKIPPED = "skipped"
    UNTESTED = "untested"
    NOT_APPLICABLE = "not_applicable"
    WAIVED = "waived"


class Rating(StrEnum):
    """How a published score reads: ✅ from 8, ⚠️ from 6, ❌ below."""

    READY = "ready"
    NEEDS_WORK = "needs_work"
    NOT_READY = "not_ready"

    @property
    def mark(self) -> str:
        return {"ready": "✅", "needs_work": "⚠️", "not_ready": "❌"}[self.value]


class State(StrEnum):
    """Why a component has, or has not, a score."""

    ASSESSED = "assessed"
    NOTHING_ASSESSED = "nothing_assessed"  # configured, but nothing counted: 0 in the overall
    NOT_CONFIGURED = "not_configured"
    ABSENT = "absent"  # declared absent, with a reason
    NOT_RUN = "not_run"  # deselected with --only


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check returns: a verdict with observed against expected, and the evidence for it.

    `credit` is None except for a `warn` that states its own share (0 < credit < 1). `fix` and `verify` replace those of
    the check where the finding knows better ones. `measured` is the plain number behind the verdict, in the unit of the
    expectation that the check names.
    """

    status: Status
    message: str
    observed: str = ""
    expected: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    credit: Fraction | None = None
    fix: str | None = None
    verify: str | None = None
    measured: float | None = None


@dataclass(frozen=True, slots=True)
class Gain:
    """Points won if this one finding were fixed: re-scored, not estimated. `note` says what hides a gain."""

    component: float
    overall: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check in one audit. `unwaived_status` is what was found where a waiver replaced the status.

    `fix_for` is the key of `STACKS` that `fix` is written for, empty where it is for any. `exact_credit` is a warning's
    share as a fraction, `41/43`; `credit` is rounded, and None under a waiver. `settings` holds what the configuration
    changed of the values that the check is judged by.
    """

    id: str
    component: str
    title: str
    severity: Severity
    status: Status
    message: str
    credit: float | None = None
    observed: str = ""
    expected: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    explanation: str = ""
    fix: str = ""
    verify: str = ""
    effort: str = ""
    reference: str = ""
    privilege: str = ""
    phase: int | None = None
    gain: Gain | None = None
    unwaived_status: Status | None = None
    fix_for: str = ""
    exact_credit: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cap:
    """A ceiling on a component's score: the value, the score it hides, and the sentence why."""

    ceiling: float
    before: float
    reason: str


@dataclass(frozen=True, slots=True)
class Component:
    """One row of the table. `score` is None where nothing was counted."""

    id: str
    name: str
    state: State
    score: float | None
    headline: int | None
    rating: Rating | None
    weight: float
    coverage: float | None
    upper_bound: float | None
    unwaived_score: float | None
    cap: Cap | None
    notes: str


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack of checks that took part; `sha256` is over its source files."""

    name: str
    version: str
    checks: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    version: str
    scoring_model: str
    packs: tuple[Pack, ...]


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """`state`: done, partial, open, or unknown where no check could look."""

    phase: int
    item: str
    state: str
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expectation:
    """A measured figure against its target. Where nothing was measured both are None, and `why` says why."""

    metric: str
    target: float
    measured: float | None
    met: bool | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One fix on the cheapest way to the target, and the overall score after it."""

    check: str
    score_after: float


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of the gate, with its numbers."""

    name: str
    required: str
    observed: float | str | None
    passed: bool


@dataclass(frozen=True, slots=True)
class Gate:
    """`passed` is None where no gate was asked for."""

    passed: bool | None
    conditions: tuple[Condition, ...] = ()


EXPIRES_SOON = 14
"""Days before a waiver's end from which on every report says so."""


@dataclass(frozen=True, slots=True)
class WaiverRecord:
    """A waiver of the configuration and what it did.

    `state`: applied; expired; unknown, where no such check exists; unneeded, where the check passes; not_applied, where
    nothing was found that could be accepted; not_run. `days_left` counts from the day of the audit, in UTC: 0 on the
    last day.
    """

    check: str
    reason: str
    owner: str
    expires: str
    state: str
    days_left: int | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class SystemRecord:
    """One probe of the run: `state` is collected, failed, not_configured or interrupted."""

    facts: str
    state: str
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Architecture:
    current: Mapping[str, Any] = field(default_factory=dict)
    recommended: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A figure that no check has as its result: of `subject`, one of a `group` that is shown together."""

    group: str
    subject: str
    name: str
    value: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier audit of the same service: published scores, overall and by component."""

    started_at: str
    score: float | None
    components: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """The whole result of an audit; every output format is made from this and nothing else."""

    schema_version: str
    tool: Tool
    service: str
    environment: str
    target: str
    started_at: str
    duration_seconds: float
    interrupted: bool
    incomplete: bool
    allow_incomplete: bool = field(default=False, kw_only=True)
    score: float | None
    headline: int | None
    target_score: float
    rating: Rating | None
    coverage: float | None
    upper_bound: float | None
    unwaived_score: float | None
    cap: Cap | None
    components: tuple[Component, ...]
    checks: tuple[CheckResult, ...]
    checklist: tuple[ChecklistItem, ...]
    expectations: tuple[Expectation, ...]
    architecture: Architecture
    path_to_target: tuple[Step, ...]
    gate: Gate
    waivers: tuple[WaiverRecord, ...]
    absences: Mapping[str, str]
    notices: tuple[str, ...]
    facts: Mapping[str, SystemRecord]
    measurements: tuple[Measurement, ...] = ()
    stack: Mapping[str, str] = field(default_factory=dict)  # what fixes were chosen for: key of STACKS -> evidence
    history: tuple[Past, ...] = ()  # oldest first
    comparison: Comparison | None = None  # with the report that --baseline names
