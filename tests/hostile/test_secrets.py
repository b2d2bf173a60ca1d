"""A secret in every place where a configuration can hold one, servers that repeat them all, and no trace of any."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import bson
import pytest
import yaml
from typer.testing import CliRunner

from readiness.cli import app
from readiness.report import FORMATS
from readiness.secrets import MASK, Scrubber

from .http_servers import Reader, Writer, answer, path_of, request, say
from .mongodb_servers import HELLO, framed, message
from .redis_servers import INFO, bulk, commands
from .serving import serving

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

ODD = "p@s/ s:w&d<é>'+%"
"""What an encoding may change, in every secret that may hold it."""


def planted(word: str, odd: str = ODD) -> str:
    return f"{word}Plant{odd}{word}Ends"


# A header holds visible ASCII, a cookie less, a token none of what is odd.
ASCII = "/+=%\"&<>'"
SECRETS = {
    "header": planted("hdr", ASCII),
    "bearer": planted("brr", "/+=-._~"),
    "cookie": planted("cki", "/+.%"),
    "basic": planted("bsc", ":@/ é"),
    "query": planted("qry"),
    "mongodb": planted("mon"),
    "mongodb option in the URI": planted("key"),
    "mongodb of the application": planted("app"),
    "mongodb session token": planted("aws", "/+=%"),
    "mongodb client option": planted("opt"),
    "redis": planted("red"),
    "redis of the application": planted("rap"),
    "redis user alone": planted("usr"),
    "kubernetes token": planted("kub", "-._~"),
    "pack": planted("pck"),
    "pack in a URL": planted("amq"),
    "pack by name": planted("nam"),
}
BASIC = base64.b64encode(f"shop:{SECRETS['basic']}".encode()).decode()

PACK = '''
"""A pack that is careless with what it is told to keep."""

from pydantic import SecretStr

from readiness.api import ABSENT, Fact, Facts, Finding, ProbeError, Section, absent, check, failed, passed, probe


class QueueSettings(Section):
    url: SecretStr | None = None
    dsn: SecretStr | None = None
    api_token: str = ""


class QueueFacts(Facts):
    text: Fact[str] = ABSENT
    refused: Fact[str] = ABSENT


class OtherFacts(Facts):
    text: str


class ThirdFacts(Facts):
    text: str


def all_of(settings):
    return f"{settings.url.get_secret_value()} {settings.dsn.get_secret_value()} {settings.api_token}"


@probe(needs="queue.dsn", section=("queue", QueueSettings))
async def queue(settings: QueueSettings) -> QueueFacts:
    return QueueFacts(text=all_of(settings), refused=absent(all_of(settings), all_of(settings)))


@probe(needs="queue.dsn")
async def other(settings: QueueSettings) -> OtherFacts:
    raise RuntimeError(all_of(settings))


@probe(needs="queue.dsn", account=lambda facts: "create an account")
async def third(settings: QueueSettings) -> ThirdFacts:
    raise ProbeError(all_of(settings), privilege=all_of(settings))


def made(name, function):
    decorated = check(
        id=f"security.mine.{name}", component="security", severity="low", effort="hours", fix="x",
        reference="https://example.com/",
    )
    return decorated(function)


def says(facts: QueueFacts) -> Finding:
    """Says it

    As a careless author would.
    """
    return failed(facts.text, observed=facts.text, expected=facts.text[:20] + "…", evidence={facts.text: [facts.text]})


def cuts(facts: QueueFacts) -> Finding:
    """Cuts it

    As a careless author would.
    """
    texts = [facts.text[start : start + length] for start in (0,) for length in range(14, len(facts.text))]
    return failed("cut", observed=texts[-2], expected="x", evidence={"all": [text + "…" for text in texts]})


def raises(facts: QueueFacts, settings: QueueSettings) -> Finding:
    """Raises it

    As a careless author would.
    """
    raise ValueError(facts.text, settings.dsn.get_secret_value().encode(), {"x": facts.text})


def lacks(facts: QueueFacts) -> Finding:
    """Lacks it

    As a careless author would.
    """
    return failed(facts.refused)


def others(facts: OtherFacts) -> Finding:
    """Others

    As a careless author would.
    """
    return passed("x")


def thirds(facts: ThirdFacts) -> Finding:
    """Thirds

    As a careless author would.
    """
    return passed("x")


said, cut, raised, lacked = made("says", says), made("cuts", cuts), made("raises", raises), made("lacks", lacks)
othered, thirded = made("others", others), made("thirds", thirds)
'''
CRASH = """
import readiness.compose

def broken(material, *_):
    settings = material.settings
    told = [settings.mongodb.uri.get_secret_value(), settings.queue.dsn.get_secret_value()]
    try:
        raise ValueError(*told)
    except ValueError as error:
        raise RuntimeError(str(told), {name: value.get_secret_value() for name, value in settings.http.headers.items()})

readiness.compose.report = broken
"""


def encodings(secret: str) -> dict[str, str]:
    """Names and forms in which a secret must not be found either."""
    raw = secret.encode()
    return {
        "raw": secret,
        "percent": quote(secret, safe=""),
        "percent in lower case": re.sub("%..", lambda match: match[0].lower(), quote(secret, safe="")),
        "path": quote(secret),
        "form": quote_plus(secret),
        "JSON": json.dumps(secret)[1:-1],
        "JSON in UTF-8": json.dumps(secret, ensure_ascii=False)[1:-1],
        "JSON in JSON": json.dumps(json.dumps(secret))[2:-2].strip('"\\'),
        "HTML": html.escape(secret),
        "HTML of the templates": html.escape(secret).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        "Python": repr(secret)[1:-1],
        "bytes": repr(raw)[2:-1],
        "bytes as Latin-1": raw.decode("latin-1"),
        "base64": base64.b64encode(raw).decode().rstrip("=")[:-1],
        "base64 of URLs": base64.urlsafe_b64encode(raw).decode().rstrip("=")[:-1],
        "base64 of more": base64.b64encode(b"x" + raw + b"yz").decode()[2:-4],
        "beginning": secret[:10],
        "end": secret[-7:],
    }


def leaks(text: str) -> dict[str, str]:
    """Which secrets a text shows, by where they were planted, with what surrounds the first place."""
    found = {}
    for where, secret in SECRETS.items():
        for form, encoded in encodings(secret).items():
            at = text.find(encoded)
            if at >= 0:
                found[f"{where} ({form})"] = text[max(0, at - 100) : at + len(encoded) + 40]
    return found


# Servers that repeat whatever they are sent, and all that there is to know.


def everything() -> dict[str, Any]:
    """Every secret in every form, as a server might quote it."""
    return {f"said {n}": secret for n, secret in enumerate(SECRETS.values())}


async def echoes(reader: Reader, writer: Writer) -> None:
    """Any request comes back in the headers and in the body: as JSON, HTML, base64, and cut off."""
    while True:
        head = await request(reader)
        path = path_of(head)
        text = head.decode("latin-1")
        lines = {name.title(): value for name, _, value in (line.partition(": ") for line in text.split("\r\n")[1:])}
        said = {"path": path, "headers": lines, "text": text, **everything()}
        body = json.dumps(said) + html.escape(text) + base64.b64encode(head).decode()
        back = [line for line in text.split("\r\n")[1:] if line and not line.lower().startswith(("host", "connection"))]
        extra = "".join(f"X-Echo-{n}: {line}\r\n" for n, line in enumerate(back))
        extra += f"Server: {lines.get('Authorization', 'x')}\r\nX-Powered-By: {lines.get('X-Api-Key', 'x')}\r\n"
        extra += f"Set-Cookie: session={lines.get('Cookie', 'x')}\r\n"
        if path == "/health":
            body = json.dumps({"status": "down", "error": text, "checks": said})
        elif path == "/metrics":
            label = text.replace("\\", "\\\\").replace('"', '\\"').replace("\r\n", "\\n")
            body = f'# HELP http_requests_total {label}\nhttp_requests_total{{path="{label}"}} 1\n'
            await say(writer, answer(body.encode(), "text/plain; version=0.0.4", extra=extra.encode("latin-1")))
            continue
        elif path.startswith(("/api/v1", "/api/v2", "/apis", "/version")):
            body = json.dumps(
                {
                    "status": "error",
                    "kind": "Status",
                    "error": text,
                    "message": text,
                    "gitVersion": lines.get("Authorization"),
                }
            )
        status = "404 Not Found" if "rdy-" in path else "200 OK"
        media = "application/json" if body[:1] == "{" and body[-1:] == "}" else "text/html"
        await say(writer, answer(body.encode(), media, status, extra.encode("latin-1")))


async def redis_that_tells(reader: Reader, writer: Writer) -> None:
    """A Redis that lets in, and says everything that it knows in INFO, CONFIG, SLOWLOG and CLIENT LIST."""
    secrets = list(SECRETS.values())
    told = bulk("".join(f"{name}:{value}\r\n" for name, value in (INFO | _told()).items()).encode())
    async for words in commands(reader):
        everyone = " ".join(words) + " ".join(secrets)
        match words:
            case ["PING"]:
                writer.write(b"+PONG\r\n")
            case ["AUTH", *_] | ["SELECT", _]:
                writer.write(b"+OK\r\n")
            case ["INFO", *_]:
                writer.write(told)
            case ["CONFIG", *_]:
                writer.write(b"*2\r\n" + bulk(b"bind") + bulk(everyone.encode()))
            case ["SLOWLOG", *_]:
                writer.write(b"*1\r\n*4\r\n:1\r\n:1\r\n:90000\r\n*1\r\n" + bulk(everyone.encode()))
            case ["CLIENT", *_]:
                lines = [f"id=1 addr=127.0.0.1:1 name={quote(secret)} lib-name={secret} cmd=get" for secret in secrets]
                writer.write(bulk("\n".join(lines).encode()))
            case _:
                writer.write(f"-ERR what is {everyone}\r\n".encode().replace(b"\r\n", b" ", everyone.count("\r\n")))
        await writer.drain()


def _told() -> dict[str, str]:
    names = ("redis_version", "os", "executable", "maxmemory_policy", "mem_allocator", "master_link_status")
    return dict(zip(names, SECRETS.values(), strict=False))


async def redis_that_refuses(reader: Reader, writer: Writer) -> None:
    """Quotes the login in its refusal, as servers of old did."""
    stream = b""
    while chunk := await reader.read(4096):
        stream += chunk
        writer.write(b"-ERR wrong arguments: " + stream.replace(b"\r\n", b" ") + b"\r\n")
        await writer.drain()


async def mongod_that_tells(reader: Reader, writer: Writer) -> None:
    """Greets with secrets in its name, and quotes all of them in every refusal."""
    secrets = " ".join(SECRETS.values())
    while True:
        number, operation, command = await message(reader)
        word = next(iter(command))
        answers: dict[str, Any] = {
            "hello": HELLO | {"setName": secrets, "msg": secrets},
            "getLog": {"ok": 1, "log": [json.dumps({"id": 1, "s": "W", "msg": secrets, "attr": {}})]},
            "ping": {"ok": 1},
            "buildInfo": {"ok": 1, "version": secrets, "versionArray": [6, 0, 5, 0]},
            "listDatabases": {"ok": 1, "totalSize": 5, "databases": [{"name": secrets}]},
            "hostInfo": {"ok": 1, "os": {"name": secrets}, "system": {"hostname": secrets}},
        }
        word = "hello" if word.lower() == "ismaster" else word
        said = answers.get(word, {"ok": 0, "code": 18 if word == "saslStart" else 13, "errmsg": f"{secrets} {command}"})
        writer.write(framed(number, operation, bson.encode(said)))
        await writer.drain()


@dataclass(frozen=True)
class Place:
    """A folder with a configuration full of secrets."""

    folder: Path

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB", "GITLAB"))}
        env |= {"HOME": str(self.folder), "COLUMNS": "250", "LANG": "C.UTF-8", **self.variables, **environment}
        command = [sys.executable, "-X", "dev", "-m", "readiness", *arguments]
        # What -X dev adds here are warnings about foreign packages.
        return subprocess.run(
            command, cwd=self.folder, env=env | {"PYTHONWARNINGS": "ignore"}, capture_output=True, encoding="utf-8",
            timeout=100, check=False,
        )  # fmt: skip

    @property
    def variables(self) -> dict[str, str]:
        return {"REDIS_PASSWORD": quote(SECRETS["redis"], safe=""), "BEARER": SECRETS["bearer"]}

    def texts(self) -> dict[str, str]:
        """Every file that was written, whatever it is, and not what was there before."""
        given = {"kubeconfig", "readiness.yaml", "mine.py", "crash.py"}
        paths = [path for path in self.folder.rglob("*") if path.is_file() and path.name not in given]
        return {
            str(path.relative_to(self.folder)): path.read_bytes().decode("utf-8", "replace")
            for path in paths
            if path.suffix != ".pyc"
        }


def configuration(http: int, redis: int, mongodb: int) -> dict[str, Any]:
    url = f"http://127.0.0.1:{http}"

    def encoded(name: str) -> str:
        return quote(SECRETS[name], safe="")

    properties = f"AWS_SESSION_TOKEN:{SECRETS['mongodb session token']}"
    return {
        "http": {
            "url": url,
            "headers": {
                "Authorization": "Bearer ${BEARER}",
                "X-Api-Key": SECRETS["header"],
                "Cookie": f"lang=en; session={SECRETS['cookie']}",
                "Proxy-Authorization": f"Basic {BASIC}",
            },
            "endpoints": [f"/api?api_key={encoded('query')}"],
            "health": f"{url}/health?token={encoded('query')}",
            "protected": ["/private"],
        },
        "mongodb": {
            "uri": f"mongodb://auditor:{encoded('mongodb')}@127.0.0.1:{mongodb}/?tlsCertificateKeyFilePassword="
            + encoded("mongodb option in the URI"),
            "app_uri": f"mongodb://shop:{encoded('mongodb of the application')}@127.0.0.1:{mongodb}/?appName=shop",
            "options": {
                "tlsCertificateKeyFilePassword": SECRETS["mongodb client option"],
                "authMechanismProperties": properties,
            },
        },
        "redis": {
            "url": f"redis://:${{REDIS_PASSWORD}}@127.0.0.1:{redis}/0",
            "app_url": f"redis://{encoded('redis user alone')}@127.0.0.1:{redis}/0?password="
            + encoded("redis of the application"),
        },
        "prometheus": {"url": url, "alertmanager": url},
        "kubernetes": {"kubeconfig": "kubeconfig"},
        "queue": {
            "url": f"amqp://shop:{encoded('pack in a URL')}@127.0.0.1:1/",
            "dsn": SECRETS["pack"],
            "api_token": SECRETS["pack by name"],
        },
        "packs": ["mine"],
        "history": {"file": "history.db"},
        "limits": {"window_seconds": 0.3, "probe_seconds": 8, "audit_seconds": 15, "request_seconds": 3},
    }


def kubeconfig(port: int) -> dict[str, Any]:
    return {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": SECRETS["kubernetes token"]}}],
    }


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """The servers, and the configuration that leads to them.

    `refusing` takes the Redis that does not let in, and a MongoDB without a login, which is asked everything.
    """
    refusing = getattr(request, "param", "") == "refusing"
    redis = redis_that_refuses if refusing else redis_that_tells
    with ExitStack() as stack:
        http, cache, database = (
            stack.enter_context(serving(behaviour)) for behaviour in (echoes, redis, mongod_that_tells)
        )
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine/mine.py").write_text(PACK)
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig(http)))
        settings = configuration(http, cache, database)
        if refusing:
            settings["mongodb"]["uri"] = f"mongodb://127.0.0.1:{database}"
        (tmp_path / "readiness.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True))
        yield Place(tmp_path)


@pytest.mark.timeout(300)
def test_an_audit_shows_none_in_any_output(place: Place) -> None:
    outputs = [part for name in FORMATS for part in ("-o", f"{name}:report.{name}")]
    done = place.run(
        "audit", "-v", *outputs, "--save-facts", "facts.json",
        GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY="summary.md", GITHUB_OUTPUT="output.txt",
    )  # fmt: skip
    texts = {**place.texts(), "stdout": done.stdout, "stderr": done.stderr}
    assert done.returncode == 3, done.stderr  # the pack's own probes cannot be read
    assert {"history.db", "facts.json", "summary.md", "output.txt", *(f"report.{name}" for name in FORMATS)} <= {*texts}
    found = {name: leaks(text) for name, text in texts.items() if leaks(text)}
    assert found == {}, json.dumps(found, indent=1, ensure_ascii=False)
    report = json.loads(texts["report.json"])
    by_id = {check["id"]: check for check in report["checks"]}
    # That they were there to be masked: in messages, evidence, failures of probes and of checks, and in facts.
    assert by_id["security.mine.says"]["message"].count(MASK) == 3
    for id in ("says", "raises", "lacks", "others", "thirds"):
        assert MASK in json.dumps(by_id[f"security.mine.{id}"], ensure_ascii=False), id
    facts = json.loads(texts["facts.json"])["collected"]
    shown = {name for name, entry in facts.items() if MASK in json.dumps(entry, ensure_ascii=False)}
    assert {"QueueFacts", "OtherFacts", "ThirdFacts", "HttpFacts", "RedisFacts"} <= shown
    again = place.run("audit", "--facts", "facts.json", "-o", "json:-")
    assert leaks(again.stdout + again.stderr) == {}
    assert json.loads(again.stdout)["score"] == report["score"]


@pytest.mark.parametrize("place", ["refusing"], indirect=True)
@pytest.mark.timeout(300)
def test_the_doctor_and_those_who_refuse_show_none(place: Place) -> None:
    done = place.run("doctor", "-v")
    assert done.returncode == 3, done.stderr
    assert done.stdout.count(MASK) > 5, done.stdout
    told = done.stdout + done.stderr
    done = place.run("audit", "--only", "database", "--only", "caching", "--save-facts", "facts.json", "-o", "json:-")
    facts = (place.folder / "facts.json").read_text()
    unknown = ("mongodb (", "mongodb option in the URI (")  # which this configuration does not hold
    shown = {
        name: text
        for name, text in leaks(told + done.stdout + done.stderr + facts).items()
        if not name.startswith(unknown)
    }
    assert shown == {}
    assert MASK in json.dumps(json.loads(facts)["collected"]["MongoFacts"], ensure_ascii=False)
    reached = {check["id"]: check["message"] for check in json.loads(done.stdout)["checks"]}
    assert "AUTH was answered with ERR" in reached["caching.reach.connect"]


@pytest.mark.parametrize("flags", [("-v",), ()], ids=["traceback", "one line"])
@pytest.mark.timeout(300)
def test_a_bug_shows_none(place: Place, flags: tuple[str, ...]) -> None:
    (place.folder / "mine/crash.py").write_text(CRASH)
    done = place.run("audit", "--only", "security.mine.says", *flags)
    assert done.returncode == 4, done.stderr
    assert ("Traceback (most recent call last)" in done.stderr) == bool(flags)
    assert "RuntimeError" in done.stderr
    assert MASK in done.stderr
    assert leaks(done.stdout + done.stderr) == {}


WORD = "hunter2Hunter2"
REFUSED: dict[str, tuple[str, tuple[str, ...]]] = {
    "an alias in YAML": (f"redis:\n  url: *{WORD}\n", ()),
    "an anchor in YAML": (f"service: &{WORD} a\nenvironment: &{WORD} b\n", ()),
    "a tag in YAML": (f"redis: {{url: !{WORD} x}}\n", ()),
    "a key for a value": (f"redis: {{'redis://:{WORD}@h'}}\n", ()),
    "a header without its colon": (f"http: {{headers: {{Authorization Bearer {WORD}}}}}\n", ()),
    "a header that is a list": (f"http: {{headers: {{X-Api-Key: [{WORD}]}}}}\n", ()),
    "a login in the URL": (f"http: {{url: 'http://u:{WORD}@h'}}\n", ()),
    "a login in another URL": (f"http: {{url: 'http://h', metrics: 'http://u:{WORD}@h/m'}}\n", ()),
    "a login for Prometheus": (f"prometheus: {{url: 'http://u:{WORD}@h'}}\n", ()),
    "a login for a Sentinel": (f"redis: {{url: 'redis://h', sentinels: ['u:{WORD}@h:1']}}\n", ()),
    "a slash in a password": (f"mongodb: {{uri: 'mongodb://u:{WORD}/{WORD}@h'}}\n", ()),
    "half a password for a port": (f"redis: {{url: 'redis://u:123/{WORD}@h'}}\n", ()),
    "a bracket in a password": (f"redis: {{url: 'redis://u:[{WORD}@h:x'}}\n", ()),
    "another scheme": (f"redis: {{url: 'http://u:{WORD}@h'}}\n", ()),
    "a URL that is a list": (f"mongodb: {{uri: ['mongodb://u:{WORD}@h']}}\n", ()),
    "a password of a wrong kind": (f"mongodb: {{options: {{password: [{WORD}]}}}}\n", ()),
    "--redis": ("", ("--redis", f"http://u:{WORD}@h")),
    "--mongodb": ("", ("--mongodb", f"mongodb://u:{WORD}/x@h:a")),
    "--prometheus": ("", ("--prometheus", f"http://u:{WORD}@h")),
    "two arguments": ("", ("http://h", f"redis://u:{WORD}@h")),
    "an option that is none": ("", (f"--reddis=redis://u:{WORD}@h",)),
    "a number that is none": ("", ("--timeout", f"redis://u:{WORD}@h")),
    "a validator of a pack": (f"packs: [mine]\nqueue: {{dsn: {WORD}}}\n", ()),
}
STRICT = """
from pydantic import SecretStr, field_validator

from readiness.api import Facts, Section, probe


class QueueSettings(Section):
    dsn: SecretStr | None = None

    @field_validator("dsn")
    @classmethod
    def no(cls, value):
        raise ValueError(f"cannot use {value.get_secret_value()}")


class QueueFacts(Facts):
    text: str = ""


@probe(needs="queue.dsn", section=("queue", QueueSettings))
async def queue(settings: QueueSettings) -> QueueFacts:
    return QueueFacts()
"""


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_not_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    text, arguments = REFUSED[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/mine.py").write_text(STRICT)
    (tmp_path / "readiness.yaml").write_text(text or "service: shop\n")
    done = CliRunner().invoke(app, ["audit", "-v", *arguments])
    assert done.exit_code == 2, done.output
    assert done.stderr.strip()
    assert "hunter2" not in done.output.lower()


@pytest.mark.parametrize("word", ["pass", "data", "fail", "database", "true", "high", "message"])
def test_a_password_that_is_a_word_of_the_report_does_not_break_it(word: str) -> None:
    data = {"status": "pass", "id": "database.x", "severity": "high", "state": "fail", "message": f"{word} is true"}
    if word == "true":
        assert Scrubber([word]).data(data) == data | {"message": f"{MASK} is {MASK}"}
    else:
        assert Scrubber([word]).data(data) == data
