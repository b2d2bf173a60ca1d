"""The example pack, installed as a stranger's would be, against a real PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from readiness.demo.processes import free_ports

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples/postgresql"
PASSWORDS = {"monitor": "s3cret-monitor", "poor": "s3cret-poor"}
ROLES = """
CREATE ROLE monitor LOGIN PASSWORD 's3cret-monitor'; GRANT pg_monitor TO monitor;
CREATE ROLE poor LOGIN PASSWORD 's3cret-poor';
CREATE TABLE orders AS SELECT 1 AS id;
"""
pytestmark = pytest.mark.real


def binaries() -> Path:
    """Debian keeps the server out of PATH."""
    on_path = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    for folder in (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), *on_path):
        if all((folder / name).exists() for name in ("postgres", "initdb", "psql")):
            return folder
    pytest.skip("no PostgreSQL server, neither on PATH nor in /usr/lib/postgresql")


@dataclass(frozen=True)
class Server:
    folder: Path
    binaries: Path
    port: int
    log: Path
    owner: dict[str, Any]

    def dsn(self, role: str, password: str = "") -> str:
        return f"postgresql://{role}:{password or PASSWORDS[role]}@127.0.0.1:{self.port}/postgres"

    def psql(self, sql: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """As the superuser, over the socket."""
        command = [self.binaries / "psql", "-qtAX", "-h", self.folder, "-p", str(self.port), "-U", "postgres"]
        return subprocess.run([*command, "-c", sql], text=True, capture_output=True, check=True, cwd="/", **more)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that refuses to run as root, so it gets the package's own user where that is who we are."""
    folder = Path(tempfile.mkdtemp(prefix="readiness-pg-"))
    owner: dict[str, Any] = {}
    if os.geteuid() == 0:
        try:
            entry = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        owner = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    (port,) = free_ports(1)
    server = Server(folder, binaries(), port, folder / "server.log", owner)
    data = folder / "data"
    initdb = [server.binaries / "initdb", "-D", data, "-U", "postgres", "--no-sync", "--locale=C", "-E", "UTF8"]
    auth = ["--auth-local=trust", "--auth-host=scram-sha-256"]
    subprocess.run([*initdb, *auth], check=True, capture_output=True, cwd="/", **owner)
    options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "log_statement": "all"}
    options["log_line_prefix"] = "%u|%a|"
    argv = [server.binaries / "postgres", "-D", data, *(f"--{key}={value}" for key, value in options.items())]
    with server.log.open("w") as log, subprocess.Popen(argv, stdout=log, stderr=log, cwd="/", **owner) as process:
        try:
            _wait(server, process)
            server.psql(ROLES)
            yield server
        finally:
            process.send_signal(2)  # a fast shutdown, whoever is still connected
            process.wait(30)
            shutil.rmtree(folder)


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            server.psql("SELECT 1")
            return
        except subprocess.CalledProcessError:
            assert process.poll() is None, server.log.read_text()
            assert time.monotonic() < deadline, server.log.read_text()
            time.sleep(0.1)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip installed the pack, and nothing else."""
    folder = tmp_path_factory.mktemp("pack")
    source = shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info"))
    target = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-build-isolation"]
    done = subprocess.run([*pip, "--no-deps", "--target", target, source], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return target


@dataclass(frozen=True)
class Readiness:
    """The command in a folder of its own, with the pack on its path."""

    folder: Path
    pack: Path

    def __call__(self, *arguments: str, config: str = "") -> subprocess.CompletedProcess[str]:
        if config:
            (self.folder / "readiness.yaml").write_text(config + "\nlimits: {window_seconds: 1.2}\n")
        own = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "GITHUB", "GITLAB"))}
        environment = {**own, "PYTHONPATH": str(self.pack), "NO_COLOR": "1", "COLUMNS": "120"}
        command = [sys.executable, "-m", "readiness", *arguments]
        return subprocess.run(command, cwd=self.folder, env=environment, text=True, capture_output=True, timeout=90)

    def report(self, dsn: str, more: str = "") -> tuple[int, dict[str, Any], str]:
        result = self("audit", "-o", "-", config=f"postgresql: {{dsn: '{dsn}'}}\n{more}")
        assert result.stdout, result.stderr
        return result.returncode, json.loads(result.stdout), result.stdout + result.stderr


@pytest.fixture
def readiness(tmp_path: Path, installed: Path) -> Readiness:
    return Readiness(tmp_path, installed)


def by_id(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {check["id"]: check for check in report["checks"]}


@contextlib.contextmanager
def traffic(server: Server) -> Iterator[None]:
    """Sessions that read a small table again and again, and end, because that is when their counters show."""
    stop = threading.Event()
    sql = "DO $$ BEGIN FOR i IN 1..50 LOOP PERFORM count(*) FROM pg_attribute; END LOOP; END $$"

    def work() -> None:
        while not stop.is_set():
            server.psql(sql)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_the_pack_is_found_and_its_section_is_known(readiness: Readiness) -> None:
    listed = readiness("checks", "database.postgresql")
    assert len(listed.stdout.splitlines()) == 8, listed.stderr
    assert (
        "PostgreSQL"
        not in subprocess.run(
            [sys.executable, "-m", "readiness", "checks"],
            text=True,
            capture_output=True,
            cwd=readiness.folder,
            check=True,
        ).stdout
    )
    misspelt = readiness("validate", config="postgresql: {dns: x}")
    assert misspelt.returncode == 2
    assert "unknown key 'dns' (did you mean 'dsn'?)" in misspelt.stderr
    refused = readiness("validate", config="postgresql: {dsn: 'mysql://u:s3cret-pw@h/d'}")
    assert "expected postgresql://" in refused.stderr
    assert "s3cret-pw" not in refused.stderr
    schema = json.loads(readiness("schema", "config").stdout)
    assert schema["properties"]["postgresql"]


def test_an_audit_with_the_least_rights_judges_everything(readiness: Readiness, server: Server) -> None:
    with traffic(server):
        code, report, text = readiness.report(server.dsn("monitor"))
    assert code == 0, text
    checks = by_id(report)
    own = {id.rpartition(".")[2]: check["status"] for id, check in checks.items() if ".postgresql." in id}
    assert own.pop("encryption") == "not_applicable"
    assert own.pop("version") in ("pass", "warn", "fail")  # the machine's own, which gets older
    assert own == dict.fromkeys(("connect", "connections", "transactions", "wraparound", "durability", "cache"), "pass")
    assert "s3cret" not in text
    assert {"name": "postgresql", "version": "0.1.0", "checks": 8}.items() <= report["tool"]["packs"][-1].items()


def test_another_database_replaces_mongodb_and_costs_no_coverage(readiness: Readiness, server: Server) -> None:
    _, report, _ = readiness.report(server.dsn("monitor"))
    mongodb = by_id(report)["database.reach.connect"]
    assert mongodb["status"] == "not_applicable"
    assert mongodb["message"] == "postgresql.dsn is configured, and nothing under mongodb"
    database = next(each for each in report["components"] if each["id"] == "database")
    assert database["state"] == "assessed"
    assert database["coverage"] > 0.8
    # Named both, both are meant.
    _, report, _ = readiness.report(server.dsn("monitor"), "mongodb: {uri: 'mongodb://127.0.0.1:9/'}")
    assert by_id(report)["database.reach.connect"]["status"] == "error"


def test_it_only_reads(readiness: Readiness, server: Server) -> None:
    readiness.report(server.dsn("monitor"))
    logged = r"^monitor\|readiness/[^|]*\|LOG:\s+(?:statement|execute [^:]*):\s+(\S.*)$"
    sent = re.findall(logged, server.log.read_text(), re.MULTILINE)
    statements = {" ".join(text.split()[:3]).rstrip(";") for text in sent}
    assert "BEGIN READ ONLY" in statements
    allowed = r"BEGIN READ ONLY|COMMIT|SET LOCAL statement_timeout|SELECT .*"
    assert not [text for text in statements if not re.fullmatch(allowed, text)], statements


def test_a_role_without_rights_is_told_which_it_lacks(readiness: Readiness, server: Server) -> None:
    _, report, _ = readiness.report(server.dsn("poor"))
    checks = by_id(report)
    for name in ("transactions", "encryption"):
        check = checks[f"database.postgresql.{name}"]
        assert check["status"] == "error"
        assert check["evidence"]["needs"] == "pg_monitor"
    assert checks["database.postgresql.connections"]["status"] == "pass"
    result = readiness("doctor", "-q")
    assert result.returncode == 3
    assert re.search(r"without pg_monitor, 2 checks cannot be judged: .*transactions", result.stdout)
    assert "GRANT pg_monitor TO readiness" in result.stdout
    assert re.search(r"^PostgreSQL +collected .* PostgreSQL \d+", result.stdout, re.M)
    assert re.search(r"pack postgresql 0\.1\.0 \(8 checks\), Python .*asyncpg \d", result.stdout)


@pytest.mark.parametrize(("role", "password"), [("monitor", "s3cret-wrong"), ("nobody", "s3cret-none")])
def test_a_refused_login_is_an_error_without_the_password(
    readiness: Readiness, server: Server, role: str, password: str
) -> None:
    code, report, text = readiness.report(server.dsn(role, password))
    assert code == 3
    assert by_id(report)["database.postgresql.connect"]["status"] == "error"
    assert "cannot connect: password authentication failed" in report["facts"]["PostgreSQLFacts"]["reason"]
    assert password not in text


def test_a_forgotten_transaction_is_found(readiness: Readiness, server: Server) -> None:
    command = [server.binaries / "psql", "-qX", "-h", server.folder, "-p", str(server.port), "-U", "postgres"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, cwd="/") as psql:
        assert psql.stdin is not None
        psql.stdin.write("BEGIN; SELECT count(*) FROM orders \\g /dev/null\n")
        psql.stdin.flush()
        settings = "checks: {database.postgresql.transactions: {idle: [0.0001, 0.001]}}"
        try:
            for _ in range(50):
                if server.psql("SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in%'").stdout.strip():
                    break
                time.sleep(0.1)
            _, report, _ = readiness.report(server.dsn("monitor"), settings)
        finally:
            psql.stdin.close()
    check = by_id(report)["database.postgresql.transactions"]
    assert check["status"] == "fail", check
    assert "the longest idle transaction" in check["message"]


def test_the_fixtures_of_the_pack_pass(installed: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", installed.parent / "source"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(command, cwd=installed.parent / "source", env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout
