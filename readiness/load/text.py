"""A finished run for people, as plain text, and for programs, as JSON-ready data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from readiness.load.histogram import Histogram
from readiness.load.plan import Plan
from readiness.load.result import Kind, Sample
from readiness.load.shards import Merged

PERCENTS = (50, 75, 90, 95, 99, 99.5)
WINDOWS = 60
FEWEST = 20
"""Requests that a window must hold for its p99 to mean anything."""
APART_SECONDS = 0.05
_BARS = "▁▂▃▄▅▆▇█"
_EMPTY = "·"


def windows(plan: Plan) -> int:
    """Into how many parts to cut this plan's duration for the latency over time."""
    return WINDOWS if plan.due is None else max(1, min(WINDOWS, plan.due // FEWEST))


def headline(plan: Plan) -> str:
    """What is about to be sent, in a line."""
    rate = f"{plan.rate:,g} requests/s" if plan.rate else "as fast as they are answered"
    most = f", at most {plan.max_requests:,} requests" if plan.max_requests is not None else ""
    over = f"over {_count(plan.connections, 'connection')}"
    return f"{plan.method} {shown(plan.url)}: {rate} for {plan.duration:g} s{most} {over}"


def shown(url: str) -> str:
    """The URL without the values of its query, which may be secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path or '/'}{'?…' if parts.query else ''}"


def document(plan: Plan, merged: Merged) -> dict[str, Any]:
    """The run as strict JSON: the figures of `Result.to_json`, the plan, the latency over time, and what is missing."""
    result = merged.result
    seconds = plan.duration / max(1, len(result.windows))
    return {
        "url": shown(plan.url),
        "method": plan.method,
        "rate": plan.rate,
        "planned": {"connections": plan.connections, "duration_seconds": plan.duration},
        **result.to_json(),
        "processes": merged.shards,
        "lost": [str(each) for each in merged.lost],
        "over_time": [_moment(window, index * seconds) for index, window in enumerate(result.windows)],
        "histogram": result.total.latency.encoded(),
    }


def _moment(window: Sample, at: float) -> dict[str, Any]:
    figures = window.latency.summary((50, 99))
    return {
        "at_seconds": round(at, 3),
        "requests": window.requests,
        "errors": sum(window.errors.values()),
        "p50_ms": figures["p50"],
        "p99_ms": figures["p99"],
    }


def summary(plan: Plan, merged: Merged) -> str:
    """The run as a few lines of plain text."""
    result, total = merged.result, merged.result.total
    errors = sum(total.errors.values())
    share = f" ({100 * errors / total.requests:.3g} %)" if errors else ""
    size = _bytes(result.received / result.duration_seconds) if result.duration_seconds else "0 B"
    rows = [
        (
            "requests",
            f"{total.requests:,} in {result.duration_seconds:.2f} s: {result.requests_per_second:,.1f}/s, {size}/s",
        ),
        ("answers", _counts((kind, count) for kind, count in total.answers.items() if kind not in total.errors)),
        ("errors", _counts(total.errors.items()) + share),
    ]
    times = {
        "latency": total.latency,
        "first byte": total.first_byte,
        "service": total.service,
        "connect": result.connect,
        "TLS": result.tls,
        "lateness": total.lateness,
    }
    lines = [f"{name:<10} {text}" for name, text in rows]
    lines += ["", *_table({name: each for name, each in times.items() if each.count})]
    lines += ["", *_over_time(plan, result.windows)] if total.successes and len(result.windows) > 1 else []
    remarks = list(_remarks(plan, merged))
    return "\n".join([*lines, *([""] if remarks else []), *remarks])


def _table(times: dict[str, Histogram]) -> list[str]:
    names = ("mean", *(f"p{percent:g}" for percent in PERCENTS), "max")
    lines = [f"{'ms':<10} " + " ".join(f"{name:>8}" for name in names)]
    for title, histogram in times.items():
        figures = histogram.summary(PERCENTS)
        lines.append(f"{title:<10} " + " ".join(f"{_ms(figures[name]):>8}" for name in names))
    return lines


def _over_time(plan: Plan, samples: Sequence[Sample]) -> list[str]:
    lines = [f"latency over time, ms, in steps of {plan.duration / len(samples):.3g} s"]
    for percent in (50, 99):
        values = [sample.percentile(percent) for sample in samples]
        known = [value for value in values if value is not None]
        lines.append(f"{f'p{percent}':<10} {sparkline(values)} {_ms(min(known))} to {_ms(max(known))}")
    return lines


def sparkline(values: Sequence[float | None]) -> str:
    """A bar for each value, from nothing to the largest; a dot where there is none."""
    top = max((value for value in values if value is not None), default=0.0)

    def bar(value: float | None) -> str:
        if value is None:
            return _EMPTY
        return _BARS[min(len(_BARS) - 1, int(value / top * len(_BARS)))] if top > 0 else _BARS[0]

    return "".join(map(bar, values))


def _remarks(plan: Plan, merged: Merged) -> Iterable[str]:
    result, total = merged.result, merged.result.total
    if result.stopped:
        after = f": {printable(result.retry_after)}" if result.retry_after else ""
        yield f"stopped early: {result.stopped}{after}"
    if result.unfinished:
        yield f"{_count(result.unfinished, 'request')} had been sent and had no answer when the run ended"
    if result.late:
        late = f"1 in 100 requests went out more than {_ms(total.lateness.percentile(99))} ms late"
        yield f"this machine was too slow: {'it was busy all the time' if result.saturated else late},"
        yield "so the latency says more about it than about the server; send less, or use more processes"
    elif result.saturated:
        yield "the engine was busy all the time: more processes may get more out of the server"
    elif _waited(total):
        yield "most of the latency is the wait for a free connection, which service leaves out"
    if result.refused:
        yield f"{_count(result.refused, 'connection')} of {plan.connections:,} could not be opened"
    missing = plan.connections - result.connections - result.refused
    if missing > 0 and not merged.lost and result.stopped is None:
        yield f"no more than {result.connections:,} of {_count(plan.connections, 'connection')} were open at once"
    if result.closed:
        yield f"the server closed the connection after {_count(result.closed, 'answer')}"
    if total.others[Kind.REDIRECT]:
        yield f"redirects are not followed; the last one led to {printable(result.location or 'nowhere')}"
    if merged.apart > APART_SECONDS:
        yield f"the processes began {merged.apart:.2f} s apart"
    for each in merged.lost:
        yield f"{each}; its share is missing from these figures"


def _waited(total: Sample) -> bool:
    latency, service = total.percentile(50), total.service.percentile(50)
    return latency is not None and service is not None and latency > 2 * service + 1


def printable(text: str) -> str:
    """What a server wrote, fit for a line of a terminal."""
    return "".join(char for char in text if char.isprintable())[:120]


def _counts(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{kind} {count:,}" for kind, count in counts) or "none"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _ms(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 100 else f"{value:.1f}" if value < 1000 else f"{value:,.0f}"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} GB"
