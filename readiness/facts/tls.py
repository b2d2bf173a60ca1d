"""What handshakes told about the service's certificate and protocol versions."""

from __future__ import annotations

from typing import Literal

from readiness.facts.base import ABSENT, Fact, Facts
from readiness.facts.http import Network

Version = Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]


class PlainHttp(Facts):
    """What port 80 of the same host did with a request for `/`: refused the connection, or answered."""

    refused: bool = False
    status: int = 0
    location: str = ""


class TlsFacts(Facts):
    """One service's TLS. With `scheme` "http" there is none, and the other fields are absent.

    `verified` is the outcome of a handshake under the configured CA file (`private_ca`) or the system's trust store;
    `error` is OpenSSL's reason where it failed, and `error_code` its X.509 verify code. The certificate is known only
    where the chain was verified, though not always the name. Days are counted at the time of the probe.

    `offered` maps each version that was tried to the cipher the server chose for it, or to an empty string where it
    refused; a version that could not be tried is not in it. `plain` is absent where the URL names a port of its own.
    """

    scheme: Literal["http", "https"]
    host: str = ""
    port: int = 0
    network: Network = "public"
    private_ca: bool = False

    verified: Fact[bool] = ABSENT
    error: Fact[str] = ABSENT
    error_code: Fact[int] = ABSENT
    protocol: Fact[str] = ABSENT
    cipher: Fact[str] = ABSENT
    not_after: Fact[str] = ABSENT
    days_left: Fact[float] = ABSENT
    lifetime_days: Fact[float] = ABSENT
    names: Fact[tuple[str, ...]] = ABSENT
    issuer: Fact[str] = ABSENT
    offered: Fact[dict[Version, str]] = ABSENT
    own_port: bool = False
    plain: Fact[PlainHttp] = ABSENT
