"""TLS handshakes: one under verification, one for each protocol version, and what plain http does on port 80.

Nothing but the handshake is sent on these connections, so a bad certificate gets no credential.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
import warnings
from collections.abc import Mapping
from typing import Any

import httpx

from readiness.api import Context, HttpSettings, ProbeError, absent, probe
from readiness.facts.tls import PlainHttp, TlsFacts
from readiness.probes.dialing import host_of, open_connection
from readiness.probes.fetch import fetcher, tls_context
from readiness.probes.http import network_of

VERSIONS: Mapping[str, ssl.TLSVersion] = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
NAME_MISMATCH = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_OUR_OWN_LIMIT = ("NO_PROTOCOLS_AVAILABLE", "NO_CIPHERS_AVAILABLE", "NO_CIPHER_MATCH", "LIBRARY_BUG")


@probe(needs="http.url")
async def probe_tls(settings: HttpSettings, context: Context) -> TlsFacts:
    """Certificate, versions, and the way from http to https. Over http there is nothing to shake hands with."""
    assert settings.url is not None
    url = httpx.URL(settings.url)
    port = url.port or (443 if url.scheme == "https" else 80)
    common: dict[str, Any] = {"host": url.host, "port": port, "network": await network_of(settings.url, context.names)}
    if url.scheme == "http":
        return TlsFacts(scheme="http", **common)
    shake = _Handshake(host_of(url), port, context)
    certificate = await _certificate(shake, settings)
    offered, plain = await asyncio.gather(_offered(shake), _plain(settings, context, url))
    return TlsFacts(
        scheme="https",
        private_ca=settings.ca_file is not None,
        offered=offered,
        own_port=url.port is not None,
        plain=plain,
        **common,
        **certificate,
    )


class _Handshake:
    """Connects, shakes hands, looks, and hangs up. Each takes one out of the audit's budget of requests."""

    def __init__(self, host: str, port: int, context: Context) -> None:
        self.host, self.port, self.seconds = host, port, context.limits.handshake_seconds
        self._names, self._budget = context.names, context.budget

    async def __call__(self, tls: ssl.SSLContext) -> ssl.SSLObject:
        """Raises OSError (ssl.SSLError among them) or TimeoutError, and BudgetSpent."""
        self._budget.take()
        async with asyncio.timeout(self.seconds):
            _, writer = await open_connection(self._names, self.host, self.port, tls=tls)
        shaken: ssl.SSLObject = writer.get_extra_info("ssl_object")
        writer.transport.abort()
        return shaken


async def _certificate(shake: _Handshake, settings: HttpSettings) -> dict[str, Any]:
    context = tls_context(settings)
    try:
        shaken = await shake(context)
        return {"verified": True, "error": "", **_described(shaken)}
    except ssl.SSLCertVerificationError as error:
        found = {"verified": False, "error": error.verify_message, "error_code": error.verify_code}
        if error.verify_code in NAME_MISMATCH:
            context.check_hostname = False
            with contextlib.suppress(OSError, TimeoutError):
                found |= _described(await shake(context))
        return found
    except TimeoutError:
        raise ProbeError(f"{shake.host}:{shake.port}: no TLS handshake within {shake.seconds:g} s") from None
    except ssl.SSLError as error:
        return {"verified": False, "error": _reason(error)}
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ProbeError(f"{shake.host}:{shake.port}: could not connect ({reason})") from None


def _described(shaken: ssl.SSLObject) -> dict[str, Any]:
    found: dict[str, Any] = {"protocol": shaken.version() or "", "cipher": (shaken.cipher() or ("",))[0]}
    certificate: Mapping[str, Any] = shaken.getpeercert() or {}
    try:
        began = ssl.cert_time_to_seconds(certificate["notBefore"])
        ends = ssl.cert_time_to_seconds(certificate["notAfter"])
        found |= {
            "not_after": certificate["notAfter"],
            "days_left": (ends - time.time()) / 86400,
            "lifetime_days": (ends - began) / 86400,
        }
    except (KeyError, ValueError):
        found["not_after"] = absent("the certificate's dates are unreadable")
    names = [str(value) for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    issuer = {key: value for part in certificate.get("issuer", ()) for key, value in part}
    found["names"] = names[:100]
    found["issuer"] = str(issuer.get("organizationName") or issuer.get("commonName") or "unnamed")
    return found


async def _offered(shake: _Handshake) -> Any:
    chosen = await asyncio.gather(*(_one_version(shake, version) for version in VERSIONS.values()))
    offered = {name: cipher for name, cipher in zip(VERSIONS, chosen, strict=True) if cipher is not None}
    return offered or absent("no protocol version could be tried")


async def _one_version(shake: _Handshake, version: ssl.TLSVersion) -> str | None:
    """The cipher that the server chose, an empty string where it refused, None where it was not decided."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing is sent here, and the question is only whether the server would: anything goes.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python advises against what we look for
            context.minimum_version = context.maximum_version = version
        shaken = await shake(context)
        return (shaken.cipher() or ("unknown",))[0]
    except ssl.SSLError as error:
        return None if error.reason in _OUR_OWN_LIMIT else ""
    except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError):
        return ""  # many servers hang up instead of sending an alert
    except (OSError, TimeoutError, ValueError):
        return None


async def _plain(settings: HttpSettings, context: Context, url: httpx.URL, port: int = 80) -> Any:
    """What http does on the host of an https URL. With a port of its own, port 80 is another service's."""
    if url.port is not None:
        return absent("the URL names a port of its own")
    try:
        async with asyncio.timeout(context.limits.connect_seconds):
            _, writer = await open_connection(context.names, host_of(url), port)
        writer.transport.abort()
    except (OSError, TimeoutError):
        return PlainHttp(refused=True)
    plain = settings.model_copy(update={"url": f"http://{_literal(url.host)}:{port}/", "headers": {}})
    try:
        async with fetcher(plain, context) as fetch:
            answer = await fetch.request("GET", "/", keep=0, anonymous=True)
    except ProbeError as error:
        return absent(error.reason)
    return PlainHttp(status=answer.status, location=answer.header("location") or "")


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or type(error).__name__).replace("_", " ").lower()
