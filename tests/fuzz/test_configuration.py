"""The configuration loader: any file is a configuration or a named problem, and never anything else."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import example
from hypothesis import strategies as st

from readiness import config, loader
from readiness.errors import ConfigError
from readiness.settings import Settings

from .fuzzing import LEAVES, TEXT, broken, fuzzed

REGISTRY = loader.load()
ENVIRONMENT = {"SET": "value", "EMPTY": "", "ODD": "\x00: [", "LOOP": "${LOOP}"}
WHOLE: dict[str, Any] = {
    "service": "shop",
    "environment": "production",
    "target_score": 9,
    "http": {
        "url": "https://shop.example",
        "headers": {"Authorization": "Bearer ${SET}"},
        "health": "/health",
        "endpoints": ["/a"],
        "profile": "web",
        "slow_client_seconds": 20,
        "stack": ["nginx"],
    },
    "mongodb": {"uri": "mongodb://u:p@h1,h2/?tls=true", "app_uri": "mongodb://h", "options": {"maxPoolSize": 5}},
    "redis": {"url": "redis://:p@h/1", "sentinels": ["h:26379"], "role": "cache", "warm_keys": {"user:*": 5}},
    "prometheus": {"url": "http://p:9090", "alertmanager": "http://a:9093"},
    "kubernetes": {"context": "c", "namespace": "shop", "selector": "app=shop"},
    "expectations": {"response_time_ms": 100, "concurrent_users": 10},
    "load": {"allow": True, "rate": 5},
    "limits": {"window_seconds": 1, "follow_announced": "listed", "listed": ["h:1"]},
    "components": {"caching": {"absent": "there is none", "weight": 2}},
    "gate": {"fail_under": 8, "components": {"security": 7}, "fail_on": "high", "no_regression": True},
    "attestations": {
        "backups": {
            "statement": "every six hours, to another region",
            "evidence": "https://wiki.example/backups",
            "owner": "ops",
            "expires": "2999-01-31",
        }
    },
    "waivers": [{"check": "database.version.eol", "reason": "soon", "owner": "ops", "expires": "2999-01-31"}],
    "history": {"file": "history.db", "keep": 5},
    "checks": {"database.repl.lag": {}},
    "packs": [],
}
FRAGMENTS = st.sampled_from(
    [
        "http:", "\n", "  ", "- ", "url: ", "https://a", "{", "}", "[", "]", ",", "'", '"', "|", ">", "&a ", "*a",
        "!x ", "!!python/name:os.system", "!!binary x", "!!int x", "!!timestamp 9", "!!set {a}", "<<: *a",
        "%YAML 9.9\n", "---\n", "...\n", "${SET}", "${ODD}", "${NONE}", "${NONE:-x}", "${LOOP}", "${", "? ", ": ",
        "#", "\t", "\x00", "\x85", "\ufeff", "2001-02-30", "1:60:60", "0o9", "0b2", ".nan", "-.inf", "1e9999",
        "9" * 5000, "~", "yes", "\ud800", "limits:",
    ]
)  # fmt: skip


def load(text: str) -> Settings | None:
    """The settings of a file with this text, or None where the loader names the problem; it must fit in a few lines."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "readiness.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            source = config.read(path, ENVIRONMENT)
            assert all(isinstance(folder, Path) for folder in config.packs(source))
            settings = config.validate(source, REGISTRY)
        except ConfigError as error:
            problem = error
        else:
            settings.given("redis.url")
            return settings
    assert problem.message
    assert len(str(problem)) < 2000 + 10 * len(text)
    return None


def test_the_whole_configuration_is_one() -> None:
    assert load(yaml.safe_dump(WHOLE)) is not None


@fuzzed(st.lists(FRAGMENTS | TEXT, max_size=15).map("".join) | st.text(max_size=60), examples=150)
@example("!!int x")
@example("!!timestamp 9")
@example("a: 2001-02-30")
def test_any_text(text: str) -> None:
    load(text)


@fuzzed(st.binary(max_size=40), examples=60)
def test_any_bytes(raw: bytes) -> None:
    load(raw.decode("utf-8", "surrogateescape").encode("utf-8", "surrogateescape").decode("latin-1"))


STRINGS = TEXT | st.sampled_from(
    [
        "http://[", "https://h:99999", "mongodb://", "mongodb://@", "redis://h:1:2", "unix://", "mongodb+srv://a,b",
        "/", "//", "2999-02-31", "0000-00-00", "2026-11-23T00:00:00", "database.*", "app in (", "${SET}", "true", "1",
        "nan", "inf",
    ]
)  # fmt: skip
JUNK = st.recursive(
    STRINGS | LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=5,
)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


@fuzzed(broken(WHOLE, JUNK), examples=60)
def test_any_change_of_a_configuration(document: Any) -> None:
    load(yaml.dump(document, Dumper=_Dumper, allow_unicode=False))


@fuzzed(st.sampled_from(sorted(WHOLE)), st.data(), examples=100)
def test_any_section(name: str, data: st.DataObject) -> None:
    load(yaml.dump({name: data.draw(broken(WHOLE[name], JUNK))}, Dumper=_Dumper))
