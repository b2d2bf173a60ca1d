"""The TLS probe against Debian's nginx with certificates of a private authority."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from readiness import judge, loader
from readiness.demo.processes import Server, accepts, free_ports, running
from readiness.errors import FactMissing, ProbeError
from readiness.facts.collected import Collected, Outcome
from readiness.facts.tls import PlainHttp, TlsFacts
from readiness.model import Finding, Status
from readiness.probes.http import probe_http
from readiness.probes.tls import _plain, probe_tls
from readiness.settings import HttpSettings, Limits, Settings
from readiness.spec import Context
from readiness.window import Window

pytestmark = pytest.mark.real
NGINX = """
daemon off; pid {work}/nginx.pid; error_log {work}/error.log; worker_processes 1; events {{}}
http {{
  access_log off; client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fcgi;
  uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {work}/chain.pem; ssl_certificate_key {work}/key.pem; {extra}
    location / {{ default_type text/html; return 200 "hello"; }}
  }}
}}
"""


def context(seconds: float = 5) -> Context:
    return Context(Window(0, 1), Limits(request_seconds=seconds), "readiness/test", "rdy-0123456789ab")


def collect(url: str, **settings: Any) -> TlsFacts:
    facts = asyncio.run(probe_tls(HttpSettings(url=url, **settings), context()))
    assert TlsFacts.from_json(facts.to_json()) == facts
    return facts


def verdict(facts: TlsFacts, id: str) -> Finding:
    registry = loader.load()
    collection = {kind: Collected(Outcome.NOT_CONFIGURED, needs=spec.needs) for kind, spec in registry.probes.items()}
    collection[TlsFacts] = Collected(Outcome.COLLECTED, facts)
    (judged,) = judge.judge({id: registry.checks[id]}, collection, Settings(), {})
    return judged.finding


@contextlib.contextmanager
def nginx(work: Path, certificate: trustme.LeafCert, extra: str = "ssl_protocols TLSv1.2 TLSv1.3;") -> Iterator[int]:
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        pytest.skip("no nginx here")
    (port,) = free_ports(1)
    (work / "key.pem").write_bytes(certificate.private_key_pem.bytes())
    (work / "chain.pem").write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
    config = work / "nginx.conf"
    config.write_text(NGINX.format(work=work, port=port, extra=extra))
    server = Server("nginx", [binary, "-p", work, "-c", config], log=work / "log")
    with running(server, lambda: accepts(port)):
        yield port


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    made = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    made.cert_pem.write_to_path(path)
    return made, path


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def test_a_good_certificate(tmp_path: Path, authority: tuple[trustme.CA, Path]) -> None:
    ca, ca_file = authority
    leaf = ca.issue_cert("localhost", "127.0.0.1", not_before=_now(), not_after=_now() + dt.timedelta(days=90))
    with nginx(tmp_path, leaf) as port:
        facts = collect(f"https://localhost:{port}", ca_file=ca_file)
        http = asyncio.run(probe_http(HttpSettings(url=f"https://127.0.0.1:{port}", ca_file=ca_file), context()))
    assert facts.verified
    assert facts.private_ca
    assert 89 < facts.days_left < 91
    assert 89 < facts.lifetime_days < 91
    assert facts.names == ("localhost", "127.0.0.1")
    assert facts.protocol == "TLSv1.3"
    assert {version for version, cipher in facts.offered.items() if cipher} == {"TLSv1.2", "TLSv1.3"}
    assert facts.own_port
    with pytest.raises(FactMissing):
        _ = facts.plain
    assert verdict(facts, "security.tls.certificate").status is Status.PASS
    assert verdict(facts, "security.tls.versions").status is Status.PASS
    assert http.root.status == 200
    assert http.https


def test_an_authority_that_nobody_named(tmp_path: Path, authority: tuple[trustme.CA, Path]) -> None:
    with nginx(tmp_path, authority[0].issue_cert("localhost")) as port:
        url = f"https://localhost:{port}"
        facts = collect(url)
        with pytest.raises(ProbeError, match="certificate verify failed"):
            asyncio.run(probe_http(HttpSettings(url=url, headers={"X-Api-Key": "s3cr3t"}), context()))
    assert not facts.verified
    assert facts.error_code in (19, 20, 21)
    finding = verdict(facts, "security.tls.certificate")
    assert finding.status is Status.WARN
    assert "http.ca_file" in finding.message


def test_another_name(tmp_path: Path, authority: tuple[trustme.CA, Path]) -> None:
    ca, ca_file = authority
    with nginx(tmp_path, ca.issue_cert("shop.example.com")) as port:
        facts = collect(f"https://localhost:{port}", ca_file=ca_file)
    assert not facts.verified
    assert facts.error_code == 62
    assert facts.names == ("shop.example.com",), "the certificate is read although the name is wrong"
    assert verdict(facts, "security.tls.certificate").status is Status.FAIL


def test_an_expired_certificate(tmp_path: Path, authority: tuple[trustme.CA, Path]) -> None:
    ca, ca_file = authority
    past = _now() - dt.timedelta(days=2)
    leaf = ca.issue_cert("localhost", not_before=past - dt.timedelta(days=30), not_after=past)
    with nginx(tmp_path, leaf) as port:
        facts = collect(f"https://localhost:{port}", ca_file=ca_file)
    assert "expired" in facts.error
    assert verdict(facts, "security.tls.certificate").status is Status.FAIL


def test_a_certificate_that_expires_soon(tmp_path: Path, authority: tuple[trustme.CA, Path]) -> None:
    ca, ca_file = authority
    leaf = ca.issue_cert("localhost", not_before=_now() - dt.timedelta(80), not_after=_now() + dt.timedelta(days=9))
    with nginx(tmp_path, leaf) as port:
        facts = collect(f"https://localhost:{port}", ca_file=ca_file)
    finding = verdict(facts, "security.tls.certificate")
    assert finding.status is Status.FAIL
    assert "expires in 9 days" in finding.message


def self_signed(folder: Path, bits: int = 2048) -> tuple[Path, Path]:
    """A certificate for localhost that is its own authority, and its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - dt.timedelta(days=1))
        .not_valid_after(_now() + dt.timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "self.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "self.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "self.pem", folder / "self.key"


@contextlib.contextmanager
def handshakes(certificate: Path, key: Path) -> Iterator[int]:
    """Shakes hands with any certificate, which nginx would refuse to serve, and hangs up."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.set_ciphers("ALL:@SECLEVEL=0")
    server.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError):
                    connection.settimeout(5)
                    server.wrap_socket(connection, server_side=True).close()
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_a_self_signed_certificate(tmp_path: Path, authority: tuple[trustme.CA, Path]) -> None:
    certificate, key = self_signed(tmp_path)
    with handshakes(certificate, key) as port:
        url = f"https://localhost:{port}"
        facts, told, other = collect(url), collect(url, ca_file=certificate), collect(url, ca_file=authority[1])
    assert facts.error_code == 18
    assert verdict(facts, "security.tls.certificate").status is Status.WARN, "on loopback its owner may trust it"
    public = facts.model_copy(update={"network": "public"})
    assert verdict(public, "security.tls.certificate").status is Status.FAIL
    assert verdict(told, "security.tls.certificate").status is Status.PASS
    assert verdict(other, "security.tls.certificate").status is Status.FAIL


def test_a_weak_key(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, bits=1024)
    with handshakes(certificate, key) as port:
        facts = collect(f"https://localhost:{port}", ca_file=certificate)
    finding = verdict(facts, "security.tls.certificate")
    assert finding.status is Status.FAIL
    assert "key too weak" in finding.message


def test_an_incomplete_chain(tmp_path: Path, authority: tuple[trustme.CA, Path]) -> None:
    ca, ca_file = authority
    leaf = ca.create_child_ca().issue_cert("localhost", not_after=_now() + dt.timedelta(days=90))
    parts = [part.bytes() for part in leaf.cert_chain_pems]
    assert len(parts) > 1, "an intermediate stands between"
    (tmp_path / "key").write_bytes(leaf.private_key_pem.bytes())
    findings = []
    for name, sent in (("whole", parts), ("leaf", parts[:1])):
        (tmp_path / name).write_bytes(b"".join(sent))
        with handshakes(tmp_path / name, tmp_path / "key") as port:
            facts = collect(f"https://localhost:{port}", ca_file=ca_file)
        findings.append(verdict(facts, "security.tls.certificate"))
    assert findings[0].status is Status.PASS
    assert findings[1].status is Status.FAIL
    assert "intermediate" in findings[1].message


def test_old_versions_are_seen(tmp_path: Path, authority: tuple[trustme.CA, Path]) -> None:
    ca, ca_file = authority
    extra = "ssl_protocols TLSv1 TLSv1.1 TLSv1.2; ssl_ciphers ALL:@SECLEVEL=0;"
    with nginx(tmp_path, ca.issue_cert("localhost"), extra) as port:
        facts = collect(f"https://localhost:{port}", ca_file=ca_file)
    assert {version for version, cipher in facts.offered.items() if cipher} == {"TLSv1", "TLSv1.1", "TLSv1.2"}
    assert facts.protocol == "TLSv1.2"
    assert verdict(facts, "security.tls.versions").status is Status.FAIL


def test_plain_http_has_no_tls() -> None:
    facts = collect("http://127.0.0.1:1")
    assert facts.scheme == "http"
    finding = verdict(facts, "security.tls.certificate")
    assert finding.status is Status.WARN
    assert "only because the address is loopback" in finding.message
    assert verdict(facts, "security.tls.versions").status is Status.NOT_APPLICABLE


def test_nothing_there() -> None:
    (port,) = free_ports(1)
    with pytest.raises(ProbeError, match="could not connect"):
        collect(f"https://127.0.0.1:{port}")


def test_a_server_that_never_shakes_hands() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ProbeError, match="no TLS handshake within"):
            asyncio.run(probe_tls(HttpSettings(url=url), context(seconds=0.3)))


def test_a_server_that_speaks_something_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            with contextlib.suppress(OSError):
                for _ in range(5):
                    connection, _ = listener.accept()
                    connection.recv(1024)
                    connection.sendall(b"220 smtp.example.com ESMTP\r\n")
                    connection.close()

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        facts = collect(f"https://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(5)
    assert not facts.verified
    assert facts.error
    assert not any(facts.offered.values())


def test_what_plain_http_does_on_the_other_port(tmp_path: Path) -> None:
    """Port 80 belongs to nobody here, so the part that asks it is told another port."""
    (port,) = free_ports(1)
    asked = []

    async def ask(url: str, port: int) -> Any:
        settings = HttpSettings(url=url, headers={"Authorization": "Bearer s3cr3t"})
        return await _plain(settings, context(), httpx.URL(url), port)

    assert asyncio.run(ask("https://localhost/", port)) == PlainHttp(refused=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def redirect() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    request = connection.recv(4096)
                    asked.append(request)
                    if request:
                        connection.sendall(
                            b"HTTP/1.1 301 Moved\r\nLocation: https://localhost/\r\nContent-Length: 0\r\n"
                            b"Connection: close\r\n\r\n"
                        )
                    connection.close()

        thread = threading.Thread(target=redirect, daemon=True)
        thread.start()
        found = asyncio.run(ask("https://localhost/", listener.getsockname()[1]))
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    assert found == PlainHttp(status=301, location="https://localhost/")
    assert not any(b"s3cr3t" in request for request in asked), "nothing secret goes over plain http"
