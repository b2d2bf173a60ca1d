"""The fixes of the bundled checks are what they say they are: the tool that each is written for can read it."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from readiness.errors import PackError
from readiness.facts.mongodb import MongoFacts
from readiness.loader import load
from readiness.model import RUNTIMES, STACKS, Finding, Status
from readiness.spec import ATTRIBUTE, CheckSpec, check

NGINX = """
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
    server {{
        {listen}
        root {folder};
        {server}
        location / {{
            {location}
        }}
    }}
}}
"""
JAVASCRIPT = """
const vm = require('vm');
const faults = [];
for (const [name, kind, text] of JSON.parse(require('fs').readFileSync(0, 'utf8'))) {
  try {
    kind === 'module' ? new vm.SourceTextModule(text) : new vm.Script(text);
  } catch (error) {
    faults.push(`${name}: ${error.message}`);
  }
}
console.log(JSON.stringify(faults));
"""


def texts(*stacks: str) -> Iterator[tuple[str, str]]:
    """Check and text, each text once."""
    seen = set()
    for spec in load([]).checks.values():
        for stack, text in spec.fixes.items():
            if stack in stacks and (stack, text) not in seen:
                seen.add((stack, text))
                yield f"{spec.id}[{stack}]", text


def test_every_stack_is_used() -> None:
    used = {stack for spec in load([]).checks.values() for stack in spec.fixes}
    assert used == set(STACKS)


def parts(text: str) -> Iterator[tuple[str, str]]:
    """The blocks of an nginx.conf that a snippet is for, and what goes into them, without comments."""
    assert text.startswith("# in "), text
    for block, part in re.findall(r"(?ms)^# in (\w+) \{\}[^\n]*\n(.*?)(?=^# in \w+ \{\}|\Z)", text):
        assert block in ("http", "server", "location"), text
        yield block, re.sub(r"(?m)(^|\s+)# .*$", "", part).strip()


@pytest.fixture
def nginx() -> str:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        pytest.skip("no nginx on PATH")
    return found


def test_nginx_reads_its_snippets(tmp_path: Path, nginx: str) -> None:
    certificate = tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=HOST", "-keyout", str(certificate), "-out", str(tmp_path / "out.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    with certificate.open("a") as file:
        file.write((tmp_path / "out.pem").read_text())
    for name, text in texts("nginx"):
        text = text.replace("/etc/letsencrypt/live/HOST/fullchain.pem", str(certificate))
        text = text.replace("/etc/letsencrypt/live/HOST/privkey.pem", str(certificate))
        places = {"http": "", "server": "", "location": ""}
        for block, part in parts(text):
            places[block] += f"{part}\n"
        if "443 ssl" in text and "ssl_certificate " not in text:
            places["server"] += f"\nssl_certificate {certificate}; ssl_certificate_key {certificate};"
        (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path, listen="", **places))
        done = subprocess.run(
            [nginx, "-t", "-q", "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{name}\n{text}\n{done.stderr}"
        assert "[warn]" not in done.stderr, f"{name}\n{text}\n{done.stderr}"


# Two ways to do one thing, and what needs a certificate.
APART = ("performance.load_balancing", "performance.http2", "security.tls.")


def test_no_fix_for_nginx_undoes_another(tmp_path: Path, nginx: str) -> None:
    places: dict[str, list[str]] = {"http": [], "server": [], "location": []}
    for name, text in texts("nginx"):
        for block, part in [] if name.startswith(APART) else parts(text):
            if part not in places[block]:
                places[block].append(part)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "app.js").write_text("let shop = 1;" * 100)
    (tmp_path / "index.html").write_text("<html lang=en><title>Shop</title></html>")
    (tmp_path / "error.html").write_text('<p>Error <!--#echo var="request_id" --></p>')
    config = NGINX.replace("access_log off;", "access_log off; types {{ text/html html; application/javascript js; }}")
    config = config.format(
        folder=tmp_path, listen=f"listen 127.0.0.1:{port};", **{name: "\n".join(each) for name, each in places.items()}
    ).replace("/srv/errors", str(tmp_path))
    if os.getuid() == 0:
        config = f"user root;\n{config}"
    (tmp_path / "nginx.conf").write_text(config)
    command = [nginx, "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log"), "-g", "daemon off;"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=httpx.HTTPTransport(retries=5)) as client:
                answers = {
                    "page": client.get("/"),
                    "script": client.get("/app.js"),
                    "unknown": client.get("/no-such-path"),
                    "options": client.options("/"),
                    "refused": client.post("/"),
                    "debug": client.get("/actuator"),
                    "security.txt": client.get("/.well-known/security.txt"),
                }
                burst = [client.get("/") for _ in range(250)]
        finally:
            server.terminate()
            errors = server.communicate(timeout=10)[1]
    assert "warn" not in errors
    limited = next(answer for answer in burst if answer.status_code == 429)
    for name, answer in {**answers, "limited": limited}.items():
        names = [key for key, _ in answer.headers.multi_items() if key != "vary"]
        assert len(names) == len(set(names)), f"{name}: a header twice"
        assert {"x-content-type-options", "content-security-policy", "x-request-id"} <= set(names), name
    assert [answer.status_code for answer in answers.values()] == [200, 200, 404, 204, 405, 403, 200]
    assert answers["script"].headers["cache-control"] == "max-age=31536000"
    assert "cache-control" not in answers["page"].headers
    assert answers["options"].headers["allow"] == answers["refused"].headers["allow"] == "GET, HEAD, OPTIONS"
    assert answers["unknown"].text.startswith("<p>Error ") or "Not Found" in answers["unknown"].text
    assert limited.headers["retry-after"] == "1"
    assert "retry-after" not in answers["page"].headers


def test_node_parses_the_scripts() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on PATH")
    sources = [(name, "module", text) for name, text in texts("express", "node")]
    sources += [(name, "script", text) for name, text in texts("mongosh")]
    done = subprocess.run(
        [node, "--experimental-vm-modules", "--no-warnings", "-e", JAVASCRIPT],
        input=json.dumps(sources), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert json.loads(done.stdout) == [], done.stderr


def test_python_parses_its_own() -> None:
    for name, text in texts("fastapi", "django", "python"):
        try:
            compile(text, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
        except SyntaxError as error:
            pytest.fail(f"{name}: {error}\n{text}")


def test_manifests_are_mappings() -> None:
    for name, text in texts("kubernetes"):
        documents = list(yaml.safe_load_all(text))
        assert documents, name
        assert all(isinstance(document, dict) for document in documents), name


def test_a_shell_takes_the_commands() -> None:
    for name, text in texts("redis-cli"):
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}: {done.stderr}"
        assert all(line.startswith("redis-cli ") for line in text.splitlines()), name


def test_no_line_is_too_long_to_read() -> None:
    for name, text in texts(*STACKS):
        assert max(map(len, text.splitlines())) <= 150, name
        assert len(text) < 4000, name


def made(**given: object) -> CheckSpec:
    def function(mongo: MongoFacts) -> Finding:
        """Title.

        Explanation.
        """
        return Finding(Status.PASS, "fine")

    options: dict[str, object] = {
        "id": "database.own.thing", "component": "database", "severity": "low", "effort": "hours",
        "reference": "https://example.com",
    }  # fmt: skip
    spec: CheckSpec = getattr(check(**{**options, **given})(function), ATTRIBUTE)  # type: ignore[arg-type]
    return spec


FIXES = {
    "nginx": "# in http {}\ngzip on;",
    "express": "app.use(compression());",
    "fastapi": "app.add_middleware(GZip)",
    "python": "pass",
}


@pytest.mark.parametrize(
    ("stack", "chosen"),
    [
        ((), ""),
        (("nginx",), "nginx"),
        (("express", "node"), "express"),
        (("nginx", "express"), "nginx"),  # the author's order
        (("fastapi",), "fastapi"),
        (("python",), "python"),
        (("node",), ""),  # nothing says that it is Express
        (("django",), "python"),  # its runtime, and not another framework on it
        (("django", "python"), "python"),
        (("kubernetes",), ""),
    ],
)
def test_the_fix_for_what_was_recognised(stack: tuple[str, ...], chosen: str) -> None:
    spec = made(fix="Compress.", fixes=FIXES)
    assert spec.fix_in(stack) == (FIXES.get(chosen, "Compress."), chosen)


def test_without_a_general_fix_the_first_one_is_documented() -> None:
    spec = made(fixes=FIXES)
    assert spec.fix == FIXES["nginx"]
    assert spec.fix_in(("nginx",)) == (FIXES["nginx"], "nginx")


@pytest.mark.parametrize(
    ("stack", "example"),
    [((), "Express"), (("python",), "FastAPI"), (("kubernetes",), "Express"), (("django", "python"), "FastAPI")],
)
def test_what_was_not_recognised_gets_an_example(stack: tuple[str, ...], example: str) -> None:
    spec = made(fixes={"express": "app.use();", "fastapi": "app.add_middleware()"})
    text, written_for = spec.fix_in(stack)
    assert text.startswith(f"Example for {example}:\n")
    assert written_for == ""


def test_the_tool_of_a_store_is_at_hand() -> None:
    spec = made(fix="Limit the memory.", fixes={"redis-cli": "redis-cli INFO"})
    assert spec.fix_in(()) == ("redis-cli INFO", "redis-cli")


def test_another_framework_is_no_help() -> None:
    spec = made(fix="Serve it.", fixes={"django": "DEBUG = False"})
    assert spec.fix_in(("fastapi", "python")) == ("Serve it.", "")
    assert spec.fix_in(("python",)) == ("Serve it.", "")


def test_an_indented_text_is_set_straight() -> None:
    spec = made(fixes={"node": "\n        if (x) {\n          y();\n        }\n    "})
    assert spec.fix == "if (x) {\n  y();\n}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fixes": {"rails": "x"}}, "fixes are for nginx, .*, not rails"),
        ({"fixes": {"nginx": " \n "}}, "a fix is empty"),
        ({"fixes": {}}, "a fix is missing"),
        ({}, "a fix is missing"),
    ],
)
def test_what_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(PackError, match=message):
        made(**given)


def test_runtimes_are_stacks() -> None:
    assert set(RUNTIMES) | set(RUNTIMES.values()) <= set(STACKS)
