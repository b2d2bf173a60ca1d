"""The overall score as a badge: an SVG that loads nothing, with a title for those who cannot see it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from readiness.model import Rating, Report
from readiness.report.text import clean, one_line
from readiness.report.wording import RATINGS, moment, of_ten, overall

LABEL = "readiness"
# White text on each has a contrast of at least 4.5 to 1.
_COLOURS: Mapping[Rating | None, str] = {
    Rating.READY: "#2e7d32",
    Rating.NEEDS_WORK: "#a15c00",
    Rating.NOT_READY: "#b3261e",
    None: "#616161",
}
# Pixels at 11 px, about as Verdana has them; textLength makes whatever font is there keep to them.
_WIDTHS: Mapping[str, float] = {**dict.fromkeys("il. ", 3.5), **dict.fromkeys("rtf/", 4.8), **dict.fromkeys("mw", 10)}


def render(report: Report, template_dir: Path | None = None) -> str:
    """An SVG of 20 pixels height; there is no template."""
    value, colour = _value(report), _COLOURS[report.rating]
    left, right = _width(LABEL) + 10, _width(value) + 10
    title = escape(_title(report, value))
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" viewBox="0 0 {left + right} 20" \
role="img" aria-label={quoteattr(f"{LABEL}: {value}")}>
<title>{title}</title>
<clipPath id="r"><rect width="{left + right}" height="20" rx="3" fill="#fff"/></clipPath>
<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#555"/>\
<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>
<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">\
{_text(LABEL, left / 2)}{_text(value, left + right / 2)}</g>
</svg>
"""


def _value(report: Report) -> str:
    """What the badge says; a score that is not the whole truth says so."""
    if report.headline is None:
        return "unknown"
    doubt = " interrupted" if report.interrupted else " incomplete" if report.incomplete else ""
    return of_ten(report.headline) + doubt


def _title(report: Report, value: str) -> str:
    rating = f", {RATINGS[report.rating].lower()}" if report.rating else ""
    about = " ".join(filter(None, (report.service, report.environment)))
    text = f"{LABEL} of {one_line(clean(about), 120)}: {value}{rating}; {overall(report)}; {moment(report.started_at)}"
    return one_line(clean(text), 400)


def _text(words: str, middle: float) -> str:
    return f'<text x="{middle:g}" y="14" textLength="{_width(words)}">{escape(words)}</text>'


def _width(words: str) -> int:
    return round(sum(_WIDTHS.get(letter, 6.7) for letter in words))
