"""What authors of checks and probes import, and nothing else."""

from readiness.errors import FactMissing, ProbeError
from readiness.facts.base import ABSENT, Fact, Facts, absent, maybe
from readiness.model import Finding, Status
from readiness.settings import (
    Absences,
    Attestation,
    AttestationSettings,
    Expectations,
    HttpSettings,
    KubernetesSettings,
    Limits,
    LoadSettings,
    MongoDBSettings,
    PrometheusSettings,
    RedisSettings,
    Section,
)
from readiness.spec import Context, check, probe
from readiness.verdict import expect, failed, not_applicable, passed, scaled, show, untested, warn, worst

__all__ = [
    "ABSENT",
    "Absences",
    "Attestation",
    "AttestationSettings",
    "Context",
    "Expectations",
    "Fact",
    "FactMissing",
    "Facts",
    "Finding",
    "HttpSettings",
    "KubernetesSettings",
    "Limits",
    "LoadSettings",
    "MongoDBSettings",
    "ProbeError",
    "PrometheusSettings",
    "RedisSettings",
    "Section",
    "Status",
    "absent",
    "check",
    "expect",
    "failed",
    "maybe",
    "not_applicable",
    "passed",
    "probe",
    "scaled",
    "show",
    "untested",
    "warn",
    "worst",
]
