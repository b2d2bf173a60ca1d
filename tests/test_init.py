"""A first readiness.yaml: what is found at real servers, what strangers cannot write into it, and that it is valid."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from readiness import config, init, loader
from readiness.errors import ConfigError, ProbeError
from readiness.settings import Settings

from . import forked
from .forked import Done

REGISTRY = loader.load()
ENVIRONMENT = {
    "API_TOKEN": "t0ken-t0ken",
    "MONGODB_URI": "mongodb://u:s3cret-s3cret@db.example.com",
    "APP_MONGODB_URI": "mongodb://db.example.com",
    "REDIS_URL": "redis://:s3cret-s3cret@cache.example.com",
    "PROMETHEUS_URL": "http://prometheus:9090",
}
SHOP: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Artisan Market", "version": "1"},
    "components": {"parameters": {"q": {"name": "q", "in": "query", "required": True}}},
    "paths": {
        "/api/products": {"get": {}, "post": {}},
        "/api/products/{id}": {"get": {}},
        "/api/search": {"get": {"parameters": [{"$ref": "#/components/parameters/q"}]}},
        "/api/list": {"get": {"parameters": [{"name": "page", "in": "query"}]}},
        "/api/orders": {"get": {"security": [{"bearer": []}]}},
        "/api/me": {"get": {}},
        "/api/open": {"get": {"security": [{"bearer": []}]}},
        "/api/gone": {"get": {}},
        "/api/logout": {"get": {}},
        "/api/export": {"get": {}},
        "/health": {"get": {}},
    },
}
HEALTH = {"status": "ok", "checks": {"mongodb": {"status": "up"}, "redis": {"status": "up"}}}
METRICS = "# HELP python_info Python\n# TYPE python_info gauge\npython_info 1\n"
ROUTES: dict[str, tuple[int, Any]] = {
    "/": (200, {"name": "market"}),
    "/health": (200, HEALTH),
    "/health/ready": (200, HEALTH),
    "/metrics": (200, METRICS),
    "/openapi.json": (200, SHOP),
    "/api/products": (200, []),
    "/api/list": (200, []),
    "/api/orders": (401, {}),
    "/api/me": (403, {}),
    "/api/open": (200, []),
}


class Service:
    """Routes by path; every request is noted."""

    def __init__(self, routes: dict[str, tuple[int, Any]]) -> None:
        self.seen: list[tuple[str, str]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.seen.append((self.command, self.path))
                status, body = routes.get(self.path, routes.get("*", (404, {"detail": "Not Found"})))
                text = body if isinstance(body, str) else json.dumps(body)
                self.send_response(status)
                if status in (301, 302):
                    self.send_header("Location", text)
                page = text.lstrip().startswith("<")
                plain = "text/html" if page else "text/plain; version=0.0.4"
                self.send_header("Content-Type", plain if isinstance(body, str) else "application/json")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text.encode())

            def __getattr__(self, name: str) -> Any:  # every method there is
                if name.startswith("do_"):
                    return self.do_GET
                raise AttributeError(name)

            def version_string(self) -> str:
                return "uvicorn"

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextlib.contextmanager
def serving(routes: dict[str, tuple[int, Any]]) -> Iterator[Service]:
    service = Service(routes)
    thread = threading.Thread(target=service.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.server.shutdown()
        service.server.server_close()
        thread.join()


def discover(url: str) -> init.Discovery:
    return init.discover(url, None, REGISTRY, lambda name, outcome: None)


def settings(text: str, environment: dict[str, str]) -> Settings:
    """What the audit makes of it; raises where it is not valid."""
    return config.validate(config.parse(yaml.compose(text), "readiness.yaml", environment), REGISTRY)


def uncommented(text: str) -> str:
    """Every example put to use."""
    return re.sub(r"^(\s*)#(?=[^ #\n])", r"\1", text, flags=re.MULTILINE)


def readiness(*arguments: str, cwd: Path, **more: str) -> Done:
    own = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    return forked.readiness(*arguments, cwd=cwd, env={**own, "NO_COLOR": "1", **more}, seconds=60)


@pytest.fixture(scope="module")
def market() -> tuple[Service, init.Discovery]:
    """The service of ROUTES with what was found of it, and what it was asked."""
    with serving(ROUTES) as service:
        return service, discover(service.url)


def test_what_is_found_is_written_down_and_valid(market: tuple[Service, init.Discovery]) -> None:
    service, found = market
    text = init.render(found, {})
    made = settings(text, {})
    assert made.service == "Artisan Market"
    assert made.http.url == service.url
    assert made.http.profile == "api"
    assert made.http.health == "/health/ready"
    assert made.http.metrics == "/metrics"
    assert made.http.endpoints == ("/api/list", "/api/products")
    # What asked for a credential, and what the document says asks for one although it did not.
    assert set(made.http.protected) == {"/api/me", "/api/orders", "/api/open"}
    assert made.http.writable == (), "nobody is sent bodies unasked"
    assert "#writable: [/api/products]" in text
    assert "#stack: [fastapi, python]" in text
    assert "mongodb (database), redis (cache)" in text
    assert dict(init.summary(found))["OpenAPI"].startswith("/openapi.json, 12 operations: 2 endpoints")


def test_it_only_reads_and_only_so_much(market: tuple[Service, init.Discovery]) -> None:
    service, _ = market
    assert {method for method, _ in service.seen} <= {"GET", "HEAD"}
    assert len(service.seen) < 60
    paths = {path for _, path in service.seen}
    assert not paths & {"/api/logout", "/api/export", "/api/products/{id}", "/api/search"}


@pytest.mark.parametrize("environment", [{}, ENVIRONMENT], ids=["nothing is set", "everything is set"])
def test_every_example_in_the_file_is_valid_too(
    environment: dict[str, str], market: tuple[Service, init.Discovery]
) -> None:
    for each in (None, market[1]):
        text = init.render(each, environment)
        assert settings(text, environment)
        made = settings(uncommented(text), ENVIRONMENT)
        assert made.gate.fail_under == 8
        assert made.waivers
        assert made.mongodb.app_uri
        assert made.http.headers
        # Examples are prose for YAML: no line is left that looks like one.
        assert not re.search(r"^\s*#[^ #\n]", uncommented(text), re.MULTILINE)


def test_no_secret_gets_into_the_file() -> None:
    text = init.render(None, ENVIRONMENT)
    assert "s3cret" not in text
    made = settings(text, ENVIRONMENT)
    assert made.mongodb.uri is not None
    assert made.redis.url is not None
    assert "uri: ${MONGODB_URI}" in text
    # A variable that holds something else is left alone.
    assert settings(init.render(None, {"REDIS_URL": "cache:6379"}), {}).redis.url is None


HOSTILE = 'x"\n  url: http://evil.example\n#: ${SECRET} \x1b[2J\u2028y: 1'


def test_strangers_cannot_write_keys_or_read_the_environment() -> None:
    document = {
        "openapi": "3.0.0",
        "info": {"title": HOSTILE},
        "servers": [{"url": "/${SECRET}"}],
        "security": "yes",
        "paths": {
            "/${SECRET}": {"get": {}},
            "/a b": {"get": {}},
            '/"x': {"get": {}},
            "/../../etc": {"get": {}},
            "//evil.example/x": {"get": {}},
            "/ok": {"get": {"parameters": [None, {"$ref": "#/a"}]}, "post": 3},
            "/list": {"get": {"parameters": 7}},
            "nonsense": None,
        },
    }
    health = {"status": "ok", "checks": {HOSTILE: {"status": "up"}}}
    routes = ROUTES | {"/openapi.json": (200, document), "/health/ready": (200, health), "*": (404, {})}
    with serving(routes) as service:
        text = init.render(discover(service.url), {})
    made = settings(text, {"SECRET": "s3cret-s3cret"})
    assert made.http.url == service.url
    assert "s3cret" not in repr(made)
    assert "\x1b" not in text
    assert "\u2028" not in text
    assert not any("SECRET" in path for _, path in service.seen)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"openapi": 3, "paths": {}},
        {"openapi": "3.0.0", "paths": []},
        {"swagger": "2.0", "paths": {"/x": 1}},
        "{",
    ],
    ids=str,
)
def test_what_is_no_document_is_none(document: Any) -> None:
    with serving(ROUTES | {"/openapi.json": (200, document)}) as service:
        found = discover(service.url)
    assert found.endpoints == []
    assert settings(init.render(found, {}), {}).http.endpoints == ()


def test_swagger_below_a_base_path_and_a_service_below_a_path() -> None:
    document = {"swagger": "2.0", "basePath": "/shop/v1", "paths": {"/items": {"get": {}}, "/cart": {"get": {}}}}
    routes = {"/shop/": (200, {}), "/shop/v2/api-docs": (200, document), "/shop/v1/items": (200, [])}
    with serving(routes) as service:
        found = discover(f"{service.url}/shop")
    assert found.openapi is not None
    assert found.endpoints == ["/v1/items"], "below http.url, which has a path itself"


def test_a_site_of_pages_is_one() -> None:
    page = "<!doctype html><title>Shop</title>"
    with serving({"/": (200, page), "*": (200, page)}) as service:  # every path answers alike
        found = discover(service.url)
    assert found.profile == "web"
    assert found.health == []
    assert found.metrics is None
    assert found.openapi is None
    assert settings(init.render(found, {}), {}).http.health is None


def test_a_redirect_to_another_origin_is_named() -> None:
    with serving(ROUTES | {"/": (301, "https://shop.example.com/")}) as service:
        found = discover(service.url)
    assert found.survey.moved == "https://shop.example.com"
    assert "It redirects to https://shop.example.com" in init.render(found, {})


def test_everything_behind_a_login() -> None:
    with serving({"*": (401, {"detail": "who are you"})}) as service:
        found = discover(service.url)
    assert found.health == []
    assert "credential" in dict(init.summary(found))["closed"]
    assert "every path asks for a credential: set this" in init.render(found, {})
    assert settings(init.render(found, {}), {})


def test_nobody_answers() -> None:
    with pytest.raises(ProbeError, match="could not connect"):
        discover("http://127.0.0.1:9")
    with pytest.raises(ConfigError, match="credentials belong into"):
        discover("http://u:s3cret-s3cret@127.0.0.1:9")


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_writes_once_and_says_what_is_next(tmp_path: Path) -> None:
    with serving(ROUTES) as service:
        result = readiness("init", service.url, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert re.search(r"^health +/health/ready, /health$", result.stdout, re.MULTILINE)
        assert "wrote readiness.yaml; next: readiness doctor" in result.stderr
        before, asked = (tmp_path / "readiness.yaml").read_text(), len(service.seen)
        again = readiness("init", service.url, cwd=tmp_path)
        assert again.returncode == 2
        assert "readiness.yaml is there already (--force replaces it)" in again.stderr
        assert len(service.seen) == asked, "nothing was contacted"
        assert (tmp_path / "readiness.yaml").read_text() == before
    assert readiness("validate", cwd=tmp_path).returncode == 0


def test_without_a_url_it_is_a_template(tmp_path: Path) -> None:
    assert readiness("init", "-q", cwd=tmp_path).returncode == 0
    text = (tmp_path / "readiness.yaml").read_text()
    assert "yaml-language-server" not in text
    (tmp_path / init.SCHEMA_FILE).write_text("{}")
    assert readiness("init", "--force", "-q", cwd=tmp_path).returncode == 0
    again = (tmp_path / "readiness.yaml").read_text()
    assert again == f"# yaml-language-server: $schema={init.SCHEMA_FILE}\n{text}"
    printed = readiness("init", "-o", "-", cwd=tmp_path)
    assert printed.stdout == again


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["shop.example.com"], 2, "did you mean https://shop.example.com?"),
        (["ftp://shop.example.com"], 2, "expected http://"),
        (["http://127.0.0.1:9"], 3, "could not connect"),
        (["-o", "none/readiness.yaml"], 2, "no folder none"),
    ],
)
def test_what_goes_wrong_is_said_and_nothing_written(
    tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    result = readiness("init", *arguments, cwd=tmp_path)
    assert result.returncode == code
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []
