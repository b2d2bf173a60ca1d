"""What probes learn: one typed module a system, plain data, saved and loaded as JSON."""

from readiness.facts.base import ABSENT, Absent, Fact, Facts, absent, maybe

__all__ = ["ABSENT", "Absent", "Fact", "Facts", "absent", "maybe"]
