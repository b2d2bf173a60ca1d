"""The beginning of a check of one's own: a module that works, its fixtures, and the test that runs them."""

from __future__ import annotations

import json
import keyword
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from readiness import config
from readiness.errors import ConfigError
from readiness.loader import is_bundled, load
from readiness.model import COMPONENTS, ON_DEMAND
from readiness.report import write
from readiness.spec import ID

TESTS = "_tests"
"""Inside the folder of checks: the loader leaves out what begins with an underscore."""
TEST_FILE = "test_readiness_checks.py"


@dataclass(frozen=True, slots=True)
class _Example:
    """An expression over facts that can pass, warn and fail, with facts for each, and for `error`."""

    module: str
    facts: str
    parameter: str
    good: str
    bad: str
    expression: str
    what: str
    unit: str
    requires: str
    verify: str
    refusal: str
    fixtures: Mapping[str, Any]


def _http(seconds: Any) -> dict[str, Any]:
    url = "https://shop.example.com"
    return {"base": url, "root": {"method": "GET", "url": f"{url}/", "status": 200, "seconds": seconds}}


def _mongo(milliseconds: Any) -> dict[str, Any]:
    return {"now": "2026-11-01T12:00:00Z", "topology": "replica_set", "operation_ms": milliseconds}


def _redis(clients: Any) -> dict[str, Any]:
    return {"connections": {"open": clients}}


def _kubernetes(ready: int) -> dict[str, Any]:
    return {
        "now": "2026-11-01T12:00:00Z",
        "server": "https://10.0.0.1:6443",
        "namespace": "shop",
        "access": {"credential": "bearer token", "tls": "verified"},
        "deployments": [{"kind": "Deployment", "name": "shop", "desired": 4, "ready": ready}],
        "stateful_sets": [],
        "daemon_sets": [],
    }


def _absent(reason: str, privilege: str) -> dict[str, str]:
    return {"$absent": reason, "privilege": privilege}


_HTTP = _Example(
    "http", "HttpFacts", "http", "200", "1000", "1000 * http.root.seconds", "the answer of the root", "ms",
    "error_handling.reach.http", "curl -so /dev/null -w '%{time_total}' https://HOST/",
    "no answer within 10 s",
    {"pass": _http(0.05), "warn": _http(0.6), "fail": _http(3.0),
     "error": {"base": "https://shop.example.com", "root": {"$absent": "no answer within 10 s"}}},
)  # fmt: skip
_EXAMPLES = {
    "database": _Example(
        "mongodb", "MongoFacts", "mongo", "10", "50", "mongo.operation_ms", "a database operation", "ms",
        "database.reach.connect", 'mongosh "$MONGODB_URI" --eval "db.serverStatus().opLatencies"', "not authorized",
        {"pass": _mongo(2), "warn": _mongo(30), "fail": _mongo(200),
         "error": _mongo(_absent("serverStatus: not authorized", "clusterMonitor"))},
    ),
    "caching": _Example(
        "redis", "RedisFacts", "redis", "1000", "5000", "redis.connections.open", "the number of clients", "",
        "caching.reach.connect", "redis-cli -u $REDIS_URL INFO clients", "NOPERM",
        {"pass": _redis(80), "warn": _redis(3000), "fail": _redis(9000),
         "error": _redis(_absent("NOPERM no permission to run INFO", "+info"))},
    ),
    "scalability": _Example(
        "kubernetes", "KubernetesFacts", "kubernetes", "1", "0.5",
        "sum(each.ready for each in kubernetes.running) / max(1, sum(each.desired for each in kubernetes.running))",
        "the share of pods that are ready", "%",
        "scalability.reach.connect", "kubectl -n NAMESPACE get deployments", "forbidden",
        {"pass": _kubernetes(4), "warn": _kubernetes(3), "fail": _kubernetes(1),
         "error": _kubernetes(4) | {"deployments": _absent("deployments: forbidden", "list deployments")}},
    ),
}  # fmt: skip

_MODULE = '''\
"""TODO: what the checks in this file have in common."""

from readiness.api import Finding, check, scaled
from readiness.facts.{module} import {facts}


@check(
    id="{id}",
    component="{component}",
    severity="medium",  # critical, high, medium, low or info: what happens to users if this is wrong
    requires="{requires}",  # without whose pass this one cannot be judged
    effort="hours",  # of the fix: minutes, hours, days or weeks
    fix="TODO: what to do, ready to paste",
    verify={verify},
    reference="https://example.com/handbook",  # TODO: the source of the thresholds
)
def {name}({parameter}: {facts}, *, good: float = {good}, bad: float = {bad}) -> Finding:
    """TODO: the good state in one line, such as "The service answers quickly".

    TODO: why it matters, and where the thresholds come from. A check is a pure function over facts: no I/O, no clock.
    What the system did not tell raises when it is touched, and the check becomes an error instead of a pass. The
    keyword parameters are settings: `checks: {{{id}: {{good: {good}}}}}`.
    """
    value = {expression}
    return scaled(value, good=good, bad=bad, what="{what}", unit="{unit}")
'''

_TEST = '''\
"""Runs the fixtures of the checks in the folder above, with pytest. One file serves all of them."""

from pathlib import Path

import pytest

from readiness.testing import cases, lacking, load, verify_fixture

CHECKS = Path(__file__).parent.parent
FIXTURES = Path(__file__).parent / "fixtures"
REGISTRY = load([CHECKS])


@pytest.mark.parametrize("path", cases(FIXTURES), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_fixture(path: Path) -> None:
    verify_fixture(path, REGISTRY)


def test_every_check_has_its_fixtures() -> None:
    assert not lacking(FIXTURES, REGISTRY, pack=CHECKS)
'''


def scaffold(id: str, folder: Path) -> list[Path]:
    """Writes a check with its fixtures, and the folder's test where there is none yet; returns what was written.

    Raises:
        ConfigError: not an id, one that there is already, or a file in the way. Nothing was written then.
        PackError: the folder holds checks that cannot be loaded.
    """
    component, rest = _parts(id)
    if folder.is_dir() and is_bundled(folder):
        raise ConfigError(
            f"{folder} holds the bundled checks", place="--dir", hint="yours go elsewhere: --dir mychecks"
        )
    known = load([folder] if folder.is_dir() else []).checks
    if id in known:
        raise ConfigError(f"check {id!r} is there already, at {known[id].source}", place="ID")
    module = folder / component / f"{'_'.join(rest)}.py"
    fixtures = folder / TESTS / "fixtures" / id
    for path in (module, fixtures):
        if path.exists():
            raise ConfigError(f"{path} is there already", place="ID", hint="nothing was written")
    files = {module: _module(id, component, rest)}
    for status, facts in _example(component).fixtures.items():
        case = {"facts": {_example(component).facts: facts}, "expect": {"message": _message(component, status)}}
        files[fixtures / f"{status}.json"] = json.dumps(case, indent=2) + "\n"
    test = folder / TESTS / TEST_FILE
    if not test.exists():
        files[test] = _TEST
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot make {path.parent}: {error.strerror}", place="--dir") from None
        write(path, text)
    return list(files)


def _parts(id: str) -> tuple[str, list[str]]:
    component, *rest = id.split(".")
    known = (*COMPONENTS, *ON_DEMAND)
    if ID.fullmatch(id) is None:
        raise ConfigError(
            f"{id!r} is not an id", place="ID", hint="lower-case words joined by dots, such as security.mine.banner"
        )
    if component not in known:
        raise ConfigError(f"no component {component!r}", place="ID", hint=config.nearest(component, known))
    return component, rest


def _example(component: str) -> _Example:
    return _EXAMPLES.get(component, _HTTP)


def _module(id: str, component: str, rest: list[str]) -> str:
    example = _example(component)
    name = f"{rest[-1]}_" if keyword.iskeyword(rest[-1]) or rest[-1] in _TAKEN else rest[-1]
    return _MODULE.format(
        id=id,
        component=component,
        name=name,
        module=example.module,
        facts=example.facts,
        parameter=example.parameter,
        good=example.good,
        bad=example.bad,
        expression=example.expression,
        what=example.what,
        unit=example.unit,
        requires=example.requires,
        verify=json.dumps(example.verify) if '"' not in example.verify else repr(example.verify),
    )


_TAKEN = ("check", "scaled")


def _message(component: str, status: str) -> str:
    """A part of the message that the fixture must lead to."""
    example = _example(component)
    return f"{example.what} is" if status != "error" else example.refusal
