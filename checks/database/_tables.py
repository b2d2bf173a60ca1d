"""Dates and versions that age: reviewed by hand, with the day of the review."""

from __future__ import annotations

import datetime as dt

AS_OF = dt.date(2026, 8, 22)

END_OF_LIFE = {
    "8.3": dt.date(2029, 10, 31),
    "8.2": dt.date(2026, 7, 31),
    "8.1": dt.date(2025, 9, 30),
    "8.0": dt.date(2029, 10, 31),
    "7.0": dt.date(2027, 8, 31),
    "6.0": dt.date(2025, 7, 31),
    "5.0": dt.date(2024, 10, 31),
    "4.4": dt.date(2024, 2, 29),
    "4.2": dt.date(2023, 4, 30),
    "4.0": dt.date(2022, 4, 30),
    "3.6": dt.date(2021, 4, 30),
}
"""End of life by series, from mongodb.com/legal/support-policy/lifecycles."""

RAPID_RELEASES = frozenset({"7.3", "7.2", "7.1", "6.3", "6.2", "6.1", "5.3", "5.2", "5.1"})
"""Series that lasted a quarter of a year and have all ended."""

DOCUMENTDB_END_OF_LIFE = {"3.6": dt.date(2026, 3, 30)}
"""The same for Amazon DocumentDB, whose releases have dates of their own."""

ZLIB_CVE = "CVE-2025-14847"
ZLIB_SOURCE = "https://nvd.nist.gov/vuln/detail/CVE-2025-14847"
ZLIB_FIXED = {
    "8.2": (8, 2, 3),
    "8.0": (8, 0, 17),
    "7.0": (7, 0, 28),
    "6.0": (6, 0, 27),
    "5.0": (5, 0, 32),
    "4.4": (4, 4, 30),
}
"""The first patch of a series without the disclosure of memory before login over zlib. Older series have none."""


def series(version: str) -> str:
    """`7.0` of `7.0.28`."""
    return ".".join(version.split(".")[:2])


def numbers(version: str) -> tuple[int, ...]:
    """`(7, 0, 28)`: versions compare as numbers, or 10.0 would come before 4.4."""
    return tuple(int(part) for part in version.split("."))


def vulnerable(version: str) -> bool:
    """Whether a server of that version discloses memory to anybody who compresses with zlib."""
    fixed = ZLIB_FIXED.get(series(version))
    if fixed is not None:
        return numbers(version) < fixed
    return numbers(version) < max(ZLIB_FIXED.values())
