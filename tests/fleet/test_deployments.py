"""fleet.yaml: what it may say, and how each mistake in it is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from readiness.errors import ConfigError
from readiness.fleet import deployments
from readiness.fleet.deployments import Fleet, filled, read

URL = "http://127.0.0.1:9/"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "services/eu").mkdir(parents=True)
    (tmp_path / "base.yaml").write_text(
        "environment: staging\nlimits: {window_seconds: 1, request_seconds: 4}\nhttp: {profile: api, endpoints: [/a]}\n"
    )
    (tmp_path / "services/checkout.yaml").write_text(f"http: {{url: '{URL}'}}\n")
    (tmp_path / "services/eu/search.yaml").write_text(f"service: eu-search\nhttp: {{url: '{URL}search'}}\n")
    return tmp_path


def fleet(folder: Path, text: str, environment: dict[str, str] | None = None, **more: Any) -> Fleet:
    path = folder / "fleet.yaml"
    path.write_text(text)
    return read(path, environment=environment or {}, **more)


def test_inline_files_patterns_and_bases(folder: Path) -> None:
    found = fleet(
        folder,
        f"""
fleet: shop
extends: base.yaml
deployments:
  - services/**/*.yaml
  - {{name: files, file: services/checkout.yaml, region: eu}}
  - name: inline
    http: {{url: '{URL}', endpoints: [/b, /c]}}
    limits: {{window_seconds: 2}}
  - name: plain
    extends: []
    http: {{url: '{URL}'}}
""",
    )
    assert found.name == "shop"
    by_name = {each.name: each for each in found.deployments}
    assert list(by_name) == ["checkout", "eu/search", "files", "inline", "plain"]
    assert by_name["eu/search"].service == "eu-search"
    assert by_name["eu/search"].slug == "eu-search"
    assert by_name["files"].service == "files"
    assert by_name["files"].region == "eu"
    assert by_name["checkout"].environment == "staging"
    inline = by_name["inline"].data
    assert inline["limits"] == {"window_seconds": 2, "request_seconds": 4}  # mappings are merged
    assert inline["http"] == {"profile": "api", "url": URL, "endpoints": ["/b", "/c"]}  # lists are replaced
    assert by_name["plain"].environment == "production"
    assert by_name["plain"].target == URL


def test_null_removes_what_a_base_says(folder: Path) -> None:
    text = f"extends: base.yaml\ndeployments: [{{name: a, limits: null, http: {{url: '{URL}', profile: null}}}}]\n"
    (only,) = fleet(folder, text).deployments
    assert "limits" not in only.data
    assert only.data["http"] == {"url": URL, "endpoints": ["/a"]}


def test_several_bases_the_last_one_wins(folder: Path) -> None:
    (folder / "strict.yaml").write_text("limits: {window_seconds: 2}\n")
    text = f"deployments: [{{name: a, extends: [base.yaml, strict.yaml], http: {{url: '{URL}'}}}}]\n"
    (only,) = fleet(folder, text).deployments
    assert only.data["limits"] == {"window_seconds": 2, "request_seconds": 4}


def test_names_become_files_that_collide_nowhere(folder: Path) -> None:
    names = ["a b", "A-b", "a/b", "..", "é" * 200, "x" * 200, "x" * 199]
    listed = "".join(f"  - {{name: '{name}', http: {{url: '{URL}'}}}}\n" for name in names)
    slugs = [each.slug for each in fleet(folder, f"deployments:\n{listed}").deployments]
    assert len({slug.lower() for slug in slugs}) == len(names)
    for slug in slugs:
        assert slug.isascii()
        assert 0 < len(slug) < 100
        assert not slug.startswith(".")
        assert "/" not in slug


def test_flags_override_every_deployment(folder: Path) -> None:
    text = f"deployments: [{{name: a, gate: {{fail_under: 5}}, http: {{url: '{URL}'}}}}]\n"
    (only,) = fleet(folder, text, flags=(("gate.fail_under", 7.0, "--fail-under"),)).deployments
    assert only.data["gate"] == {"fail_under": 7.0}


SECRET = "${TOKEN}"


def test_a_digest_follows_the_configuration_and_not_the_secrets(folder: Path) -> None:
    text = f"deployments: [{{name: a, http: {{url: '{URL}', headers: {{Authorization: '{SECRET}'}}}}}}]\n"
    (one,) = fleet(folder, text, {"TOKEN": "sentinel-1"}).deployments
    (other,) = fleet(folder, text, {"TOKEN": "sentinel-2"}).deployments
    assert one.data != other.data
    assert one.digest == other.digest
    (changed,) = fleet(folder, text.replace(URL, URL + "v2"), {"TOKEN": "sentinel-1"}).deployments
    assert changed.digest != one.digest
    assert "sentinel" not in repr(one)


def test_variables_of_the_workers_stay_names_until_they_are_there(folder: Path) -> None:
    text = f"""
worker_environment: [TOKEN]
deployments:
  - name: a
    http: {{url: '{URL}', headers: {{Authorization: 'Bearer ${{TOKEN}}', X-Own: '${{OWN}}'}}}}
    redis: {{url: '${{TOKEN}}'}}
"""
    (only,) = fleet(folder, text, {"OWN": "mine"}).deployments
    assert only.data["http"]["headers"] == {"Authorization": "Bearer ${TOKEN}", "X-Own": "mine"}
    there = filled(only.data, ["TOKEN"], {"TOKEN": "redis://x:1"})
    assert there["redis"] == {"url": "redis://x:1"}
    with pytest.raises(ConfigError, match="TOKEN is not set on the worker"):
        filled(only.data, ["TOKEN"], {})


WRONG = {
    "not YAML": ("deployments: ]", "fleet.yaml:1: is not YAML"),
    "no mapping": ("- a\n", "fleet.yaml:1: expected keys and values at the top level"),
    "nothing": ("", "fleet.yaml:1: expected keys and values"),
    "unknown key": ("deploymets: []\n", "fleet.yaml:1: unknown key 'deploymets' (did you mean 'deployments'?)"),
    "no deployments": ("fleet: x\n", "fleet.yaml:1: deployments must be a list"),
    "an empty list": ("deployments: []\n", "fleet.yaml:1: deployments must be a list with at least one"),
    "no name": ("deployments:\n  - http: {url: 'http://x/'}\n", "fleet.yaml:2: a deployment has no `name`"),
    "twice": (
        "deployments:\n  - {name: a, http: {url: 'http://x/'}}\n  - {name: a, http: {url: 'http://y/'}}\n",
        "fleet.yaml:3: deployment 'a' is there twice, the first time at",
    ),
    "key twice": ("deployments:\n  - {name: a, name: b}\n", "fleet.yaml:2: the key 'name' appears twice"),
    "no such file": ("deployments: [absent.yaml]\n", "deployment 'absent': cannot be read: No such file"),
    "no match": ("deployments: ['services/*.yml']\n", "fleet.yaml:1: no file matches 'services/*.yml' (looked in"),
    "file and more": (
        "deployments:\n  - file: services/checkout.yaml\n    redis: {}\n",
        "fleet.yaml:3: 'redis' beside `file` (`extends: FILE` with more keys overrides what is in a file)",
    ),
    "one name for many": (
        "deployments:\n  - {name: a, file: 'services/**/*.yaml'}\n",
        "fleet.yaml:2: one name for 2 files",
    ),
    "unknown configuration key": (
        "deployments:\n  - name: a\n    http:\n      ulr: 'http://x/'\n",
        "fleet.yaml:4: deployment 'a': unknown key 'ulr' (did you mean 'url'?)",
    ),
    "wrong value": (
        "deployments:\n  - name: a\n    http: {url: 'http://x/'}\n    limits: {window_seconds: -1}\n",
        "fleet.yaml:4: deployment 'a': limits.window_seconds",
    ),
    "wrong value in a base": (
        "extends: bad.yaml\ndeployments:\n  - {name: a, http: {url: 'http://x/'}}\n",
        "bad.yaml:2: deployment 'a': limits.window_seconds",
    ),
    "unset variable": (
        "deployments:\n  - {name: a, http: {url: '${NOWHERE}'}}\n",
        "fleet.yaml:2: deployment 'a': the environment variable NOWHERE is not set",
    ),
    "nothing to audit": ("deployments:\n  - {name: a}\n", "fleet.yaml:2: deployment 'a': nothing to audit"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_mistakes_are_named_with_their_place(folder: Path, text: str, message: str) -> None:
    (folder / "bad.yaml").write_text("environment: x\nlimits: {window_seconds: 0}\n")
    with pytest.raises(ConfigError) as caught:
        fleet(folder, text)
    assert message in str(caught.value)


def test_all_unusable_deployments_are_named_at_once(folder: Path) -> None:
    listed = "".join(f"  - {{name: s{n}, http: {{url: 'nothing'}}}}\n" for n in range(30))
    with pytest.raises(ConfigError) as caught:
        fleet(folder, f"deployments:\n{listed}  - {{name: good, http: {{url: '{URL}'}}}}\n")
    lines = str(caught.value).splitlines()
    assert lines[0] == "30 deployments cannot be used:"
    assert lines[1].endswith(
        "fleet.yaml:2: deployment 's0': http.url: expected http://HOST[:PORT] or https://HOST[:PORT]"
    )
    assert len(lines) == 1 + deployments.SHOWN + 1
    assert lines[-1] == "and 10 more"


def test_a_thousand_deployments_are_read_in_a_moment(folder: Path) -> None:
    listed = "".join(f"  - {{name: s{n}, http: {{url: '{URL}'}}}}\n" for n in range(1000))
    assert len(fleet(folder, f"extends: base.yaml\ndeployments:\n{listed}").deployments) == 1000
