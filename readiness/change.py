"""The frozen types of a comparison of two audits; part of the report's JSON, like those of `model`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """Why a score changed between two audits, in the order in which the causes are re-scored."""

    MODEL = "model"  # another scoring model, or figures that do not follow from the report's own checks
    SETTINGS = "settings"  # weights, absences, and checks that are judged by other values of the configuration
    SEVERITY = "severity"
    NEW = "new"  # new in the packs, or applicable now
    RETIRED = "retired"  # gone from the packs, or no longer applicable where it was judged before
    COVERED = "covered"  # was not tested or could not be judged before; what turned out not to apply included
    LOST = "lost"  # the reverse
    FIXED = "fixed"  # earns more than before
    REGRESSED = "regressed"  # earns less than before
    WAIVED = "waived"
    UNWAIVED = "unwaived"  # the waiver expired or was taken out


@dataclass(frozen=True, slots=True)
class Part:
    """What one cause did to a score: `points` as printed, `exact` as a fraction."""

    cause: Cause
    points: float
    exact: str


@dataclass(frozen=True, slots=True)
class Delta:
    """The change of one score, `overall` or a component's. The points of the parts always sum to `change`.

    `old` and `new` are published scores. None counts as 0, as a component with nothing assessed does in the overall
    score. `change` is None where the scores cannot be compared, because one of the audits left it out.
    """

    id: str
    name: str
    old: float | None
    new: float | None
    change: float | None
    exact: str = "0"
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs, under the cause that it counts for. `check` is empty where it concerns no check."""

    cause: Cause
    component: str
    check: str
    title: str
    severity: str
    old: str
    new: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """Which audit is on one side of a comparison."""

    service: str
    environment: str
    target: str
    started_at: str
    version: str
    scoring_model: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two audits side by side. `warnings` say why they may not be comparable, `notes` what else differs."""

    old: Side
    new: Side
    overall: Delta
    components: tuple[Delta, ...]
    changes: tuple[Change, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
