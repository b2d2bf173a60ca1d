"""Release series with the end of their support, and the releases that fixed a vulnerability. As of 2026-08-22.

Sources: https://endoflife.date/redis, https://endoflife.date/valkey, the CVE record and the projects' release notes.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

AS_OF = dt.date(2026, 8, 22)

Series = tuple[int, int]

# The last day of security fixes; None where it is not announced.
END_OF_LIFE: dict[str, dict[Series, dt.date | None]] = {
    "redis": {
        (6, 0): dt.date(2022, 5, 31),
        (6, 2): dt.date(2027, 4, 1),
        (7, 0): dt.date(2024, 7, 29),
        (7, 2): dt.date(2029, 12, 1),
        (7, 4): dt.date(2029, 12, 1),
        (8, 0): dt.date(2026, 12, 1),
        (8, 2): dt.date(2030, 9, 1),
        (8, 4): None,
        (8, 6): None,
        (8, 8): None,
        (8, 10): None,
    },
    "valkey": {
        (7, 2): dt.date(2029, 4, 16),
        (8, 0): dt.date(2027, 9, 15),
        (8, 1): dt.date(2030, 3, 31),
        (9, 0): dt.date(2028, 10, 21),
        (9, 1): None,
    },
}

# ElastiCache keeps dates of its own for its oldest engines, by major version.
ELASTICACHE: dict[int, dt.date] = {
    4: dt.date(2026, 1, 31),
    5: dt.date(2026, 1, 31),
    6: dt.date(2027, 1, 31),
}


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """`fixed` is the first sound patch release of a series; older series have none, newer ones never had it."""

    cve: str
    summary: str
    fixed: dict[str, dict[Series, int]]


VULNERABILITIES = (
    Vulnerability(
        "CVE-2025-49844",
        "use after free in Lua, remote code execution (CVSS 10)",
        {
            "redis": {(6, 2): 20, (7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2},
            "valkey": {(7, 2): 11, (8, 0): 6, (8, 1): 4},
        },
    ),
)


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution that ships a release and backports fixes to it without changing its number."""

    names: str
    allocator: str


# Upstream bundles another jemalloc with these releases, so the system's own gives a distribution's build away.
DISTRIBUTIONS: dict[str, Distribution] = {
    "6.0.16": Distribution("Debian 11, Ubuntu 22.04", "jemalloc-5.2.1"),
    "7.0.15": Distribution("Debian 12, Ubuntu 24.04", "jemalloc-5.3.0"),
}
_SYSTEM_FOLDERS = ("/usr/bin/", "/usr/sbin/")


def numbers(version: str) -> tuple[int, int, int] | None:
    """(7, 0, 15) of "7.0.15", or None."""
    match = re.match(r"([0-9]{1,4})\.([0-9]{1,4})(?:\.([0-9]{1,5}))?", version)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def distribution(name: str, version: str, executable: str, allocator: str) -> str:
    """The distributions whose package this build looks like, or an empty string."""
    known = DISTRIBUTIONS.get(version) if name == "redis" else None
    if known is None:
        return ""
    return known.names if executable.startswith(_SYSTEM_FOLDERS) or allocator == known.allocator else ""


def vulnerable(flaw: Vulnerability, name: str, version: tuple[int, int, int]) -> bool:
    """Whether that release of `name` lacks the fix."""
    fixed = flaw.fixed[name]
    series = version[:2]
    if series in fixed:
        return version[2] < fixed[series]
    return series < max(fixed)
