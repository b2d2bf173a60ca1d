"""Bad input gets one message with the place and the way out; good input becomes typed settings."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness import config, loader
from readiness.errors import ConfigError
from readiness.settings import Settings

REGISTRY = loader.load()


def load(tmp_path: Path, text: str, environment: dict[str, str] | None = None) -> Settings:
    path = tmp_path / "readiness.yaml"
    path.write_text(text)
    return config.validate(config.read(path, environment or {}), REGISTRY)


def test_a_whole_configuration(tmp_path: Path) -> None:
    result = load(
        tmp_path,
        """
service: market
http:
  url: https://api.example.com
  headers: {Authorization: "Bearer ${TOKEN}"}
  endpoints: [/api/products]
mongodb: {uri: "${MONGODB_URI:-mongodb://localhost:27017}"}
redis: {url: "redis://:p%40ss@[::1]:6379/0", warm_keys: {"user:*": 1}}
components: {caching: {absent: "stateless proxy"}, security: {weight: 2}}
gate: {fail_under: 8, components: {security: 9}, fail_on: critical}
""",
        {"TOKEN": "t0ken"},
    )
    assert result.http.headers["Authorization"].get_secret_value() == "Bearer t0ken"
    assert result.mongodb.uri is not None
    assert result.mongodb.uri.get_secret_value() == "mongodb://localhost:27017"
    assert result.given("redis.url")
    assert not result.given("prometheus.url")
    assert result.given("prometheus.url or redis.url")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("http:\n  ulr: https://a.example\n", 2, "unknown key 'ulr' (did you mean 'url'?)"),
        ("htpp: {}\n", 1, "did you mean 'http'?"),
        ("redis:\n  url: redis://h\n  role: cahce\n", 3, "redis.role"),
        ("gate:\n  fail_under: eight\n", 2, "gate.fail_under"),
        ("gate:\n  components: {securty: 9}\n", 2, "gate.components.securty"),
        ("http:\n  url: https://user:pw@a.example\n", 2, "credentials belong into a header"),
        ("http:\n  url: ftp://a.example\n", 2, "expected http://"),
        ("mongodb:\n  uri: mongo://h\n", 2, "expected mongodb://"),
        ("mongodb:\n  uri: mongodb://u:p/w@h\n", 2, "percent-encode"),
        ("redis:\n  url: redis://h:port\n", 2, "HOST[:PORT]"),
        ("mongodb:\n\n  uri: ${MISSING_URI}\n", 3, "MISSING_URI is not set"),
        ("waivers:\n  - {check: a.b, reason: why not, owner: me, expires: 2030}\n", 2, "a day such as 2027-01-31"),
        ("waivers:\n  - {check: a.b, reason: why not, owner: me, expires: 2030-02-01 12:00:00}\n", 2, "in UTC"),
        ("waivers:\n  - {check: a.b, reason: why not, owner: me}\n", 2, "expires is missing"),
        ("waivers:\n  - {check: a.b, owner: me, expires: 2030-01-01}\n", 2, "reason is missing"),
        ("gate:\n  no_regression: 11\n", 2, "gate.no_regression"),
        ("history: {keep: 0}\n", 1, "history.keep"),
        ("waivers:\n  - {check: a.b, reason: long enough, expires: 2030-01-01}\n", 2, "owner is missing"),
        ("checks:\n  no.such.check: {a: 1}\n", 2, "no check 'no.such.check'"),
        ("http: {url: 'https://a'}\nhttp: {}\n", 2, "appears twice"),
        ("http: [\n", 2, "is not YAML"),
        (
            "http: {url: ${URL}}\n",
            1,
            "expected ',' or '}', but got '{' (inside braces and brackets a variable needs quotes",
        ),
        ("http:\n  endpoints: /api\n", 2, "http.endpoints: expected a list, such as [a, b]"),
        ("http: x\n", 1, "http: expected keys and values"),
        ("service: 5\n", 1, "service: expected a text"),
        ("load: {allow: maybe}\n", 1, "load.allow: expected true or false"),
        ("limits: {requests: many}\n", 1, "limits.requests: expected a whole number"),
        ("limits: {probe_seconds: 0}\n", 1, "limits.probe_seconds: must be greater than 0"),
        ("gate: {components: {foo: 9}}\n", 1, "gate.components.foo: there is no 'foo' (one of database, caching"),
        ("- a\n", 1, "keys and values"),
        ("a: !!python/object/apply:os.system [id]\n", 1, "unknown key"),
        ("service: !!python/name:os.system x\n", 1, "cannot read this value"),
    ],
)
def test_bad_input_names_the_line_and_the_way_out(tmp_path: Path, text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert f"readiness.yaml:{line}" in caught.value.place
    assert says in str(caught.value)
    assert "pw" not in str(caught.value).replace("http.headers", "")


@pytest.mark.parametrize(
    "key", ["http.url", "http.metrics", "prometheus.url", "prometheus.alertmanager", "redis.without_url"]
)
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:99999", "the port must be between 1 and 65535"),
        ("http://127.0.0.1:0", "the port must be between 1 and 65535"),
        ("http://[::1]:0/m", "the port must be between 1 and 65535"),
        ("http://127.0.0.1:8x", "the port must be between 1 and 65535"),
        ("http://ex ample", "without spaces in the host"),
        ("http://exam\tple", "without control characters"),
        ("http://[::1", "expected http://HOST[:PORT]"),
        ("http://", "expected http://HOST[:PORT]"),
        ("http://u:pw@h", "credentials belong into a header"),
    ],
)
def test_an_address_that_cannot_be_contacted_is_refused_wherever_it_stands(key: str, url: str, says: str) -> None:
    source = config.Source()
    source.set(key, url, "--flag")
    with pytest.raises(ConfigError) as caught:
        config.validate(source, REGISTRY)
    assert says in str(caught.value)
    assert caught.value.place == "--flag"
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("url", ["HTTP://127.0.0.1:8711", " http://127.0.0.1:8711 \n", "hTTp://127.0.0.1:8711"])
def test_an_address_is_read_as_it_is_meant(url: str) -> None:
    source = config.Source()
    source.set("http.url", url, "URL")
    source.set("http.metrics", url, "--metrics")
    http = config.validate(source, REGISTRY).http
    assert (http.url, http.metrics) == ("http://127.0.0.1:8711", "http://127.0.0.1:8711")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("redis.url", "redis://h:0"),
        ("redis.url", "redis://:s3cret@h:99999/0"),
        ("mongodb.uri", "mongodb://a:27017,b:70000/"),
        ("redis.sentinels", ["h:65536"]),
        ("load.dask", "tcp://h:0"),
    ],
)
def test_a_port_that_there_is_not_is_refused(key: str, value: object) -> None:
    source = config.Source()
    source.set(key, value, "--flag")
    with pytest.raises(ConfigError, match="between 1 and 65535") as caught:
        config.validate(source, REGISTRY)
    assert "s3cret" not in str(caught.value)


def test_all_problems_of_a_file_are_said_at_once_each_with_its_place(tmp_path: Path) -> None:
    text = (
        "http:\n  ulr: x\n  endpoints: /a\nchecks:\n  no.such: {a: 1}\n"
        "waivers:\n  - {chekc: a.b, reason: why, owner: me}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    lines = [line.removeprefix(f"{tmp_path}/") for line in str(caught.value).splitlines()]
    assert lines == [
        "readiness.yaml:2: unknown key 'ulr' (did you mean 'url'?)",
        "readiness.yaml:7: unknown key 'chekc' (did you mean 'check'?)",  # and not that `check` is missing
        "readiness.yaml:3: http.endpoints: expected a list, such as [a, b]",
        "readiness.yaml:5: no check 'no.such' (readiness checks lists them)",
    ]


def test_all_variables_that_are_not_set_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "service: a\nservice: b\nhttp: {url: '${X}', health: '${Y}'}\n")
    assert [part in str(caught.value) for part in ("appears twice", "variable X", "variable Y")] == [True] * 3


def test_no_more_than_twenty_problems_are_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "".join(f"key{n}: 1\n" for n in range(30)))
    assert len(str(caught.value).splitlines()) == 21
    assert str(caught.value).endswith("and 10 more")


def test_a_bomb_of_aliases_is_refused(tmp_path: Path) -> None:
    bomb = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
    )
    with pytest.raises(ConfigError, match="too large"):
        load(tmp_path, bomb)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x00" * 10, b"[" * 50_000])
def test_binary_and_brackets(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "readiness.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        config.read(path, {})


def test_unreadable_files_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        config.read(tmp_path / "none.yaml", {})
    with pytest.raises(ConfigError, match="directory"):
        config.read(tmp_path, {})


def test_flags_override_the_file_and_are_named(tmp_path: Path) -> None:
    path = tmp_path / "readiness.yaml"
    path.write_text("http: {url: https://a.example, health: /up}\n")
    source = config.read(path, {})
    source.set("http.url", "https://b.example", "URL")
    assert config.validate(source, REGISTRY).http.url == "https://b.example"
    assert config.validate(source, REGISTRY).http.health == "/up"
    source.set("http.url", "nonsense", "URL")
    with pytest.raises(ConfigError) as caught:
        config.validate(source, REGISTRY)
    assert caught.value.place == "URL"


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["http", "url", "gate", "checks", "waivers", "packs", "x"]), inner, max_size=3
            )
        ),
        max_leaves=12,
    )
)
def test_any_document_gives_settings_or_a_configuration_error(data: object) -> None:
    import yaml

    # Anything else than a configuration error would be a traceback in front of the user.
    with contextlib.suppress(ConfigError):
        node = yaml.compose(yaml.safe_dump({"http": data} if not isinstance(data, dict) else data))
        source = config.parse(node, "readiness.yaml", {})
        config.packs(source)
        config.validate(source, REGISTRY)
