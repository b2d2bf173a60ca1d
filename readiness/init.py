"""A first readiness.yaml: what a look at the service shows, written down with comments, valid as it stands."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from readiness import config
from readiness.collect import Progress, collect
from readiness.errors import ProbeError
from readiness.facts.base import Facts, maybe
from readiness.facts.collected import Collected
from readiness.facts.http import HttpFacts
from readiness.facts.service import Health, ServiceFacts
from readiness.facts.stack import recognised
from readiness.facts.survey import OpenApi, SurveyFacts
from readiness.loader import Registry
from readiness.model import STACKS
from readiness.probes.http import guess_profile
from readiness.report.text import clean, one_line
from readiness.settings import Limits, MongoDBSettings, PrometheusSettings, RedisSettings, Section, Settings

SCHEMA_FILE = "readiness.schema.json"
MOST_ENDPOINTS, MOST_PROTECTED = 6, 5
LIMITS = Limits(window_seconds=0.1, audit_seconds=45, requests=100)
"""Two probes, no load: a look takes a second where the service is quick."""

_ORDER = ("readiness", "general", "liveness", "startup")
_PLAIN = re.compile(r"/[A-Za-z0-9/._~-]*")
_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "mongodb": ("MONGODB_URI", "MONGODB_URL", "MONGO_URI", "MONGO_URL"),
    "redis": ("REDIS_URL", "VALKEY_URL"),
    "prometheus": ("PROMETHEUS_URL",),
}
"""Variables that may hold an address: one that is set, and fits, is named in the file, never its value."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was seen of the service at `url`. `service` is None where its self-reports could not be read."""

    url: str
    ca_file: Path | None
    survey: SurveyFacts
    service: ServiceFacts | None
    profile: str
    stack: Mapping[str, str]

    @property
    def openapi(self) -> OpenApi | None:
        return maybe(lambda: self.survey.openapi)

    @property
    def health(self) -> list[Health]:
        """Every health endpoint that was found, the one that says most first."""
        service = self.service
        found = maybe(lambda: service.health) if service is not None else None
        return sorted(found or (), key=lambda each: _ORDER.index(each.kind))

    @property
    def metrics(self) -> str | None:
        """The path of a metrics endpoint that could be read."""
        service = self.service
        exposed = maybe(lambda: service.metrics) if service is not None else None
        return exposed.path if exposed is not None and exposed.state == "parsed" else None

    @property
    def closed(self) -> bool:
        """Whether even unknown paths ask for a credential."""
        return bool(self.survey.unknown) and all(each.status in (401, 403) for each in self.survey.unknown)

    @property
    def endpoints(self) -> list[str]:
        """Documented GETs that answered without a credential."""
        own = {self.metrics, *(each.path for each in self.health)}
        gets = self.openapi.gets if self.openapi is not None else ()
        return [get.path for get in gets if not get.secured and 200 <= get.status < 300 and get.path not in own]

    @property
    def protected(self) -> list[str]:
        """GETs that asked for a credential, or that the document says do."""
        gets = self.openapi.gets if self.openapi is not None else ()
        return [get.path for get in gets if get.status in (401, 403) or (get.secured and 200 <= get.status < 300)]


def discover(url: str, ca_file: Path | None, registry: Registry, progress: Progress) -> Discovery:
    """Asks the service for its root, its health, its metrics and its OpenAPI document, with GET and HEAD alone.

    Raises:
        ConfigError: not a URL.
        ProbeError: the service does not answer.
    """
    source = config.Source()
    source.set("http.url", url, "URL")
    source.set("http.ca_file", str(ca_file) if ca_file else None, "--ca-file")
    http = config.validate(source, registry).http
    wanted: tuple[type[Facts], ...] = (SurveyFacts, ServiceFacts)
    planned = {facts: registry.probes[facts] for facts in wanted}
    collected = collect(planned, Settings(http=http, limits=LIMITS), progress).collected
    survey, service = collected[SurveyFacts], collected[ServiceFacts].facts
    if not isinstance(survey.facts, SurveyFacts):
        raise ProbeError(survey.reason)
    base = http.url or url  # as it was understood
    seen = _as_http_facts(survey.facts, base)
    return Discovery(
        url=base,
        ca_file=ca_file,
        survey=survey.facts,
        service=service if isinstance(service, ServiceFacts) else None,
        profile=_profile(survey.facts),
        stack=recognised({**_named(collected), "HttpFacts": Collected(survey.outcome, seen)}),
    )


def _named(collected: Mapping[type[Facts], Collected]) -> dict[str, Collected]:
    return {facts.__name__: entry for facts, entry in collected.items()}


def _as_http_facts(survey: SurveyFacts, url: str) -> HttpFacts:
    names = ("not_found", "not_found_html")
    answers = dict(zip(names, survey.unknown, strict=False))
    root = maybe(lambda: survey.root)
    return HttpFacts.model_validate({"base": url, **answers} | ({"root": root} if root is not None else {}))


def _profile(survey: SurveyFacts) -> str:
    root = maybe(lambda: survey.root)
    return guess_profile(root, {str(n): answer for n, answer in enumerate(survey.unknown)}) if root else "api"


def render(found: Discovery | None, environment: Mapping[str, str] = os.environ, *, schema: bool = False) -> str:
    """The text of the file; a template where nothing was looked at.

    Args:
        environment: where an address may be set; the file names the variable only.
        schema: whether a JSON Schema lies beside the file, for editors.
    """
    parts = [_head(found, schema), _http(found) if found else _HTTP_TEMPLATE, _systems(found, environment), _REST]
    return "\n".join(parts)


def demand_valid(text: str, registry: Registry, environment: Mapping[str, str] = os.environ) -> None:
    """Raises ConfigError where the audit would not read what was rendered."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    config.validate(config.parse(node, "readiness.yaml", environment), registry)


def summary(found: Discovery) -> Iterator[tuple[str, str]]:
    """What was found, in pairs of a word and a sentence."""
    yield "profile", f"{found.profile}: {_PROFILES[found.profile]}"
    yield "made of", ", ".join(f"{STACKS[name]} ({evidence})" for name, evidence in found.stack.items()) or "not known"
    yield "health", ", ".join(each.path for each in found.health) or _no_health(found)
    yield "metrics", found.metrics or _no_metrics(found)
    openapi = found.openapi
    if openapi is None:
        yield "OpenAPI", "no document at the usual places"
    else:
        counts = f"{len(found.endpoints)} endpoints to measure, {len(found.protected)} that ask for a credential"
        yield "OpenAPI", f"{openapi.path}, {openapi.operations} operations: {counts}"
    if named := _dependencies(found):
        yield "uses", named
    if found.closed:
        yield "closed", "every path asks for a credential: name one under http.headers"
    if found.survey.moved:
        yield "redirects", f"to {found.survey.moved}; audit that one if it is what users see"


_PROFILES = {"web": "a browser is served pages", "api": "clients are served data"}


def _no_health(found: Discovery) -> str:
    return "none found" if found.service is not None else "could not be looked for"


def _no_metrics(found: Discovery) -> str:
    if found.service is None:
        return "could not be looked for"
    try:
        return f"none found ({found.service.metrics.problem})"
    except Exception as error:  # FactMissing: behind a credential
        return f"not readable: {one_line(str(getattr(error, 'reason', error)), 120)}"


def _dependencies(found: Discovery) -> str:
    """What the health endpoints say that the service uses."""
    named = {each.name: each.kind for health in found.health for each in health.dependencies}
    return ", ".join(f"{_comment(name)} ({kind})" for name, kind in list(named.items())[:8])


def _head(found: Discovery | None, schema: bool) -> str:
    first = f"# yaml-language-server: $schema={SCHEMA_FILE}\n" if schema else ""
    name = environment = None
    if found is not None:
        openapi = found.openapi
        name = openapi.title if openapi is not None else ""
        name = name or re.split(r"[/?#]", found.url.partition("://")[2], maxsplit=1)[0]
        environment = "staging" if re.search(r"(?i)\b(staging|stage|test|dev|preview)\b", found.url) else None
    return (
        first
        + _HEAD
        + f"service: {_text(name or 'my-service')}  # a name in the report, like the next\n"
        + f"environment: {environment or 'production'}\n"
        + "target_score: 9\n"
    )


_HEAD = """\
# What `readiness audit` reads. Edit it freely.
#
#   readiness doctor      what can be reached, and which rights are missing for which checks
#   readiness audit       the score; `readiness explain ID` explains a finding
#   readiness validate    whether this file is valid, without contacting anything
#   readiness schema      a JSON Schema of it: readiness schema config > readiness.schema.json
#
# ${NAME} and ${NAME:-default} read the environment, so that no secret has to stand here.
# A line with a # and no space behind it is an example: take the # away to use it.

"""

_HTTP_TEMPLATE = """\
http:
  url: http://localhost:8080  # the base URL of the service: change it
  #profile: api  # web, api or internal; guessed from the answer otherwise
  #headers: {Authorization: "Bearer ${API_TOKEN}"}  # sent to this origin only
  #health: /health  # looked for at the usual paths otherwise, like the metrics
  #metrics: /metrics
  #endpoints: [/api/products, /api/artisans]  # measured with GET
  #protected: [/api/orders]  # must refuse a caller without a credential
  #writable: [/api/products]  # may be sent bodies that cannot validate
"""


def _http(found: Discovery) -> str:
    lines = ["http:", f"  url: {_text(found.url)}"]
    if found.survey.moved:
        lines.append(f"  # It redirects to {found.survey.moved}: audit that one if it is what users see.")
    if found.ca_file is not None:
        lines.append(f"  ca_file: {_text(str(found.ca_file))}")
    lines.append(f"  profile: {found.profile}  # web, api or internal; this one was guessed")
    if found.stack:
        names = ", ".join(name for name in found.stack if name not in ("mongosh", "redis-cli"))
        lines.append(f"  #stack: [{names}]  # fixes are written for these; recognised otherwise")
    closed = "; every path asks for a credential: set this" if found.closed else ""
    lines.append('  #headers: {Authorization: "Bearer ${API_TOKEN}"}  # sent to this origin only' + closed)
    lines += _reported(found)
    lines += _documented(found)
    return "\n".join(lines) + "\n"


def _reported(found: Discovery) -> Iterator[str]:
    health = found.health
    if health:
        others = ", ".join(each.path for each in health[1:])
        yield f"  health: {_text(health[0].path)}  # {health[0].kind}" + (f"; also found: {others}" if others else "")
    else:
        yield f"  #health: /health  # {_no_health(found)}"
    if found.metrics:
        yield f"  metrics: {_text(found.metrics)}"
    else:
        yield f"  #metrics: /metrics  # {_comment(_no_metrics(found))}"


def _documented(found: Discovery) -> Iterator[str]:
    openapi = found.openapi
    origin = f"according to {_comment(openapi.path)}" if openapi is not None else ""
    if found.endpoints:
        yield f"  endpoints:  # measured with GET; chosen from those without parameters {origin}"
        yield from _listed(found.endpoints, MOST_ENDPOINTS)
    else:
        yield "  #endpoints: [/api/products, /api/artisans]  # measured with GET: name the ones that matter"
    if found.protected:
        yield f"  protected:  # must refuse a caller without a credential; chosen {origin}"
        yield from _listed(found.protected, MOST_PROTECTED)
    else:
        yield "  #protected: [/api/orders]  # must refuse a caller without a credential"
    writes = [_text(path) for path in openapi.writes] if openapi is not None else []
    yield (
        f"  #writable: [{', '.join(writes) or '/api/products'}]  # may be sent bodies that cannot validate"
        + (f"; they take POST {origin}" if writes else "")
    )


def _listed(paths: list[str], most: int) -> Iterator[str]:
    yield from (f"    - {_text(path)}" for path in paths[:most])
    if len(paths) > most:
        yield f"    # {len(paths) - most} more were found"


def _systems(found: Discovery | None, environment: Mapping[str, str]) -> str:
    lines = []
    if found is not None and (named := _dependencies(found)):
        lines.append(f"# The service says that it uses: {named}.")
    lines += _block(
        "mongodb", environment, "uri", "the auditor's own account; `readiness doctor` prints how to create it",
        ("app_uri: ${APP_MONGODB_URI}  # the application's: parsed, never connected to",),
    )  # fmt: skip
    lines += _block(
        "redis", environment, "url", "Redis or Valkey; +ping +info is enough for most checks",
        ("role: cache  # cache, session, queue or store", 'warm_keys: {"user:*": 1}  # how many a warm cache holds'),
    )  # fmt: skip
    lines += _block(
        "prometheus", environment, "url", "the one that scrapes the service",
        ("alertmanager: http://alertmanager:9093",),
    )  # fmt: skip
    return "\n".join(lines) + "\n"


def _block(name: str, environment: Mapping[str, str], key: str, about: str, examples: Iterable[str]) -> Iterator[str]:
    """The section of a system: in use where a variable holds its address, else an example."""
    variables = _VARIABLES[name]
    usable = [variable for variable in variables if _fits(name, key, environment.get(variable, ""))]
    mark = "" if usable else "#"
    yield f"{mark}{name}:"
    yield f"  {mark}{key}: ${{{(usable or variables)[0]}}}  # {about}"
    yield from (f"  #{example}" for example in examples)


def _fits(name: str, key: str, value: str) -> bool:
    models: dict[str, type[Section]] = {
        "mongodb": MongoDBSettings,
        "redis": RedisSettings,
        "prometheus": PrometheusSettings,
    }
    try:
        return bool(value) and bool(models[name].model_validate({key: value}))
    except ValidationError:
        return False


_REST = """\
#kubernetes: {context: production, namespace: shop}  # or a namespace alone

#expectations: {response_time_ms: 100, database_query_ms: 50, cache_hit_rate: 0.95, concurrent_users: 10000}
#load: {allow: true, rate: 50, duration: 10, connections: 50}  # permits more than a few light requests

# What the deployment does not have leaves the score, and the report says why.
#components: {caching: {absent: "nothing to cache"}, security: {weight: 2}}

# Conditions for exit code 0.
#gate: {fail_under: 8, components: {security: 9}, fail_on: critical, min_coverage: 80}

# Findings that are accepted until a day, and what nobody can see from outside; both need an owner and an end.
#waivers:
  #- {check: security.headers.csp, reason: "third-party widget", owner: web-team, expires: 2030-01-31}
#attestations:
  #on_call: {statement: "a rota of four people", evidence: "https://example.com/rota", owner: ops, expires: 2030-01-31}

#checks: {database.client.pool_max: {at_least: 80}}  # settings of single checks; `readiness explain ID` names them
#history: {file: .readiness/history.db}  # a line for every audit
#packs: [./checks]  # folders with checks of your own; `readiness new-check ID` makes the first
"""


def _text(value: str) -> str:
    """A YAML scalar. What a stranger wrote must not read the environment, so `${` cannot come out of here."""
    value = one_line(clean(value), 200).replace("${", "$ {")
    return value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def _comment(value: str) -> str:
    return one_line(clean(value), 120)
