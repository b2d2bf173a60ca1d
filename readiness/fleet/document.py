"""The overview as strict JSON: `fleet_schema_version` "1"."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from readiness import __version__
from readiness.fleet.overview import Frequent, Overview, Row
from readiness.model import Rating
from readiness.report.json_format import strict

SCHEMA_VERSION = "1"


def render(overview: Overview) -> str:
    """The overview with every deployment; a deployment's own report is a file of its own."""
    return strict(document(overview))


def document(overview: Overview) -> dict[str, Any]:
    """The same as plain data.

    What is wrong with a deployment is a list of ids; `checks` says once what each id stands for.
    """
    return {
        "fleet_schema_version": SCHEMA_VERSION,
        "tool": {"name": "readiness", "version": __version__},
        "fleet": overview.name,
        "started_at": overview.started_at,
        "duration_seconds": overview.seconds,
        "interrupted": overview.interrupted,
        "exit_code": int(overview.code),
        "scores": {"mean": overview.mean, "median": overview.median, "worst": overview.worst},
        "ratings": {rating.value: overview.ratings[rating] for rating in Rating},
        "audits": {audit.value: count for audit, count in overview.audits.items()},
        "gate": {"passed": overview.gate, "deployments_below": [row.name for row in overview.below]},
        "components": [dataclasses.asdict(column) for column in overview.columns],
        "findings": [_finding(each) for each in overview.findings],
        "unjudged": [{"check": each.check, "count": each.unjudged} for each in overview.unjudged],
        "checks": {
            wrong.check: {"title": wrong.title, "component": wrong.component, "severity": wrong.severity}
            for row in overview.rows
            for wrong in row.wrong
        },
        "reports": overview.folder,
        "deployments": [_row(row) for row in overview.rows],
        "notices": list(overview.notices),
    }


def _finding(finding: Frequent) -> Mapping[str, Any]:
    return {
        "check": finding.check,
        "failed": finding.failed,
        "warned": finding.warned,
        "deployments": list(finding.deployments),
    }


def _row(row: Row) -> Mapping[str, Any]:
    data = dataclasses.asdict(row)
    data["exit_code"] = data.pop("code")
    wrong = data.pop("wrong")
    for status in ("fail", "warn", "error"):
        data[status] = [each["check"] for each in wrong if each["status"] == status]
    return data
