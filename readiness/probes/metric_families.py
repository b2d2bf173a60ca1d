"""Families of a scrape recognised: HTTP latency, database latency, cache, process; and labels that grow for ever."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from readiness.facts.base import absent
from readiness.facts.metrics import CacheMetrics, Family, HighEntropy, Latency
from readiness.probes.exposition import Exposition, ParsedFamily, Sample
from readiness.probes.histograms import key, series

MAX_FAMILIES = 1000
MAX_LABELS = 30
HTTP_NAME = "http_request_duration_seconds"
DATABASE_NAME = "database_query_duration_seconds"

HTTP_LABELS: Mapping[str, tuple[str, ...]] = {
    "method": ("method", "http_method", "http_request_method", "request_method", "verb"),
    "route": (
        "route", "http_route", "path", "handler", "uri", "endpoint", "url_rule", "path_template", "template", "url",
        "http_target", "view", "resource",
    ),
    "status": (
        "status_code", "status", "code", "http_response_status_code", "http_status_code", "http_status", "status_class",
    ),
}  # fmt: skip
DATABASE_LABELS: Mapping[str, tuple[str, ...]] = {
    "collection": (
        "collection", "db_collection_name", "table", "db_sql_table", "db_mongodb_collection", "store", "model",
        "entity", "repository",
    ),
    "operation": (
        "operation", "db_operation_name", "db_operation", "command", "action", "query_type", "operation_type", "op",
        "method", "statement_type",
    ),
}  # fmt: skip

_TIMES = {"duration", "latency", "seconds", "milliseconds", "microseconds", "ms", "elapsed"}
_FOREIGN = {
    "client", "db", "database", "mongo", "mongodb", "sql", "grpc", "redis", "cache", "outgoing", "upstream", "external",
    "queue", "kafka", "dns", "scrape", "size", "bytes", "pool", "tls", "in", "sd", "lag", "s3",
}  # fmt: skip
_DATABASES = {
    "db", "database", "mongo", "mongodb", "sql", "postgres", "postgresql", "mysql", "mariadb", "sqlite", "sqlalchemy",
    "prisma", "typeorm", "sequelize", "mongoose", "datastore", "hibernate",
}  # fmt: skip
_NO_QUERY = {
    "pool", "connection", "connections", "wait", "acquire", "creation", "checkout", "http", "cache", "redis",
    "exporter", "scrape", "tsdb", "migration", "lag", "replication", "size", "bytes", "up",
}  # fmt: skip
_RUNTIMES = ("nodejs_", "python_", "go_", "jvm_", "dotnet_", "ruby_", "php_", "erlang_vm_", "system_runtime_")
_BUILD = re.compile(r"(?:^|_)build_info$|^(?:app_info|application_info|target_info|nodejs_version_info|python_info)$")
_CACHE_GAUGE = re.compile(r"(?:^|_)cache_hit_?(?:rate|ratio)(?:_percent(?:age)?)?$")
_CACHE_COUNTER = re.compile(r"(?:^|_)cache_(hit|miss)(?:e?s)?(?:_total)?$")
_CACHE_RESULT = re.compile(r"(?:^|_)cache_(?:gets|requests|lookups|operations|accesses|results)(?:_total)?$")

_ENTROPY = {
    "UUID": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I),
    "e-mail address": re.compile(r"[^\s@/]{1,64}@[^\s@/]{1,64}\.[a-z]{2,}$", re.I),
    "object id": re.compile(r"(?:^|/)[0-9a-f]{24}(?:/|$)", re.I),
    "query string": re.compile(r"^/[^?]{0,200}\?[^=]{1,100}="),
    "number in a path": re.compile(r"^/(?:[^?]{0,200}/)?\d+(?:/|$)"),
}


def summary(family: ParsedFamily) -> Family:
    """The family as facts: counts of label sets and of the distinct values of each label."""
    values: dict[str, set[str]] = defaultdict(set)
    labelsets = set()
    for sample in family.samples:
        labelsets.add(key(sample.labels))
        for label, value in sample.labels.items():
            values[label].add(value)
    counted = {label[:80]: len(distinct) for label, distinct in list(values.items())[:MAX_LABELS]}
    return Family(
        name=family.name[:200],
        type=family.type[:20],
        help=bool(family.help.strip()),
        samples=len(family.samples),
        labelsets=len(labelsets),
        labels=counted,
    )


def unit(name: str) -> str:
    """The unit that the family's name gives, or nothing."""
    tokens = name.lower().split("_")
    for token in reversed(tokens):
        if token in ("seconds", "second", "sec"):
            return "seconds"
        if token in ("milliseconds", "millis", "ms", "msec"):
            return "milliseconds"
        if token in ("microseconds", "us", "usec", "micros"):
            return "microseconds"
    return ""


def http_latency(exposition: Exposition) -> Latency | None:
    """The best family that holds the latency of HTTP requests, or None."""
    return _best(_is_http, HTTP_NAME, HTTP_LABELS, exposition)


def database_latency(exposition: Exposition) -> Latency | None:
    """The best family that holds the latency of database queries, or None."""
    return _best(_is_database, DATABASE_NAME, DATABASE_LABELS, exposition)


def _is_http(family: ParsedFamily) -> bool:
    tokens = set(re.split(r"[_:]", family.name.lower()))
    about = tokens & {"http", "request", "requests"}
    timed = tokens & _TIMES or (tokens & {"request", "response", "processing"} and "time" in tokens)
    return bool(about and timed) and not tokens & _FOREIGN and _is_timed(family)


def _is_database(family: ParsedFamily) -> bool:
    tokens = set(re.split(r"[_:]", family.name.lower()))
    timed = tokens & _TIMES or ("time" in tokens and tokens & {"response", "query", "execution"})
    return bool(tokens & _DATABASES and timed) and not tokens & _NO_QUERY and _is_timed(family)


def _is_timed(family: ParsedFamily) -> bool:
    return family.type in ("histogram", "gaugehistogram", "summary")


def _best(
    is_one: Callable[[ParsedFamily], bool], exact: str, meanings: Mapping[str, tuple[str, ...]], exposition: Exposition
) -> Latency | None:
    found = [
        _latency(family, exact, meanings)
        for family in exposition.families.values()
        if family.name == exact or is_one(family)
    ]
    return max(found, key=_rank, default=None)


def _rank(latency: Latency) -> tuple[bool, bool, int, float]:
    labels = latency.__dict__["labels"]
    return latency.exact, latency.type == "histogram", len(labels) if type(labels) is dict else 0, latency.observations


def _latency(family: ParsedFamily, exact: str, meanings: Mapping[str, tuple[str, ...]]) -> Latency:
    names = {label for sample in family.samples for label in sample.labels} - {"le", "quantile"}
    meant = {
        meaning: next(label for label in labels if label in names)
        for meaning, labels in meanings.items()
        if names & set(labels)
    }
    counts = [entry.count for entry in series(family).values() if entry.count is not None]
    observed = sum(count for count in counts if math.isfinite(count) and count > 0)
    nothing = absent(f"{family.name[:100]} has no observation yet, so its labels cannot be seen")
    return Latency(
        family=family.name,
        type=family.type,
        unit=unit(family.name),
        exact=family.name == exact,
        observations=observed,
        labels=meant if family.samples else nothing,
    )


def cache(before: Exposition, after: Exposition) -> CacheMetrics | None:
    """The cache families: a ratio gauge, or counters of hits and misses; None where there are none."""
    gauge = next((s for s in after.samples() if _CACHE_GAUGE.search(s.name)), None)
    now, earlier = _hits(after), _hits(before)
    if gauge is None and not now:
        return None
    found: dict[str, object] = {}
    if gauge is not None:
        found |= {"gauge": gauge.name, "gauge_value": gauge.value}
    for side in ("hits", "misses"):
        if side in now:
            name, value = now[side]
            found |= {f"{side}_family": name, side: value}
            change = value - earlier.get(side, (name, math.nan))[1]
            found[f"window_{side}"] = change if change >= 0 else absent("not in both scrapes, or it fell")
    return CacheMetrics.model_validate(found)


def _hits(exposition: Exposition) -> dict[str, tuple[str, float]]:
    """`hits` and `misses` of one cache, each with the sample's name and its value summed over label sets.

    Of several caches the one with both sides and the most traffic: hits of one and misses of another say nothing.
    """
    caches: dict[str, dict[str, tuple[str, float]]] = defaultdict(dict)
    for sample in exposition.samples():
        side, stem = _side(sample)
        if side and math.isfinite(sample.value):
            so_far = caches[stem].get(side, (sample.name, 0.0))[1]
            caches[stem][side] = (sample.name, so_far + sample.value)
    return max(caches.values(), key=lambda pair: (len(pair), sum(value for _, value in pair.values())), default={})


def _side(sample: Sample) -> tuple[str, str]:
    """`hits` or `misses` and what names the cache, or nothing."""
    counter = _CACHE_COUNTER.search(sample.name)
    if counter:
        return "hits" if counter[1] == "hit" else "misses", sample.name[: counter.start()]
    if _CACHE_RESULT.search(sample.name):
        for label in ("result", "outcome", "status", "type"):
            word = sample.labels.get(label, "").lower()
            if word in ("hit", "hits", "miss", "misses"):
                return "hits" if word.startswith("hit") else "misses", sample.name
    return "", ""


def process(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name.startswith("process_"))[:40]


def runtime(names: Iterable[str]) -> tuple[str, ...]:
    found = [name for name in names if name.startswith(_RUNTIMES)]
    return tuple(found[:40])


def build_info(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if _BUILD.search(name))[:10]


def high_entropy(families: Iterable[ParsedFamily], marks: Sequence[str]) -> list[HighEntropy]:
    """Labels whose values look like ids, addresses or raw paths.

    Args:
        marks: random words from paths that this audit asked for; one of them in a label value proves that the label
            holds raw paths.
    """
    found: list[HighEntropy] = []
    for family in families:
        values: dict[str, set[str]] = defaultdict(set)
        for sample in family.samples:
            for label, value in sample.labels.items():
                if label not in ("le", "quantile"):
                    values[label].add(value[:300])
        for label, distinct in values.items():
            pattern, count = _pattern(distinct, marks)
            if pattern:
                found.append(HighEntropy(family=family.name[:200], label=label[:80], pattern=pattern, values=count))
    return found[:100]


def _pattern(distinct: set[str], marks: Sequence[str]) -> tuple[str, int]:
    if any(mark in value for value in distinct for mark in marks):
        return "path nobody defined", len(distinct)
    for pattern, expression in _ENTROPY.items():
        matching = sum(1 for value in distinct if expression.search(value))
        # One UUID may be the name of the instance; two of them are a trend.
        if matching >= (1 if pattern in ("e-mail address", "query string") else 2):
            return pattern, len(distinct)
    return "", 0
