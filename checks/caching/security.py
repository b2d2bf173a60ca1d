"""Whether strangers can read or empty the cache."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, not_applicable, passed, show, warn
from readiness.facts.redis import RedisFacts

from . import _fixes

_SECURITY = "https://valkey.io/topics/security/"
_DAY = 86_400


@check(
    id="caching.security.auth",
    component="caching",
    severity="critical",
    phase=1,
    requires="caching.reach.connect",
    fixes=_fixes.USERS,
    effort="hours",
    reference=_SECURITY,
    verify="redis-cli -h HOST -p 6379 PING  # without a password: NOAUTH is the right answer",
)
def auth(redis: RedisFacts) -> Finding:
    """Nobody reads or empties the cache without a password.

    A second connection without credentials sends PING and INFO; passwords are never tried. An open server is an open
    copy of the data, and a way to run code on its host. On loopback only the host's own users can reach it.
    """
    told = redis.anonymous
    more: dict[str, Any] = {"observed": told, "expected": "refused"}
    if told == "refused":
        return passed("a connection without a password is refused", **more)
    if told == "protected":
        return passed("protected mode refuses other hosts without a password", **more)
    if told == "limited":
        return warn("a connection without a password may do some things", **more)
    if redis.network in ("loopback", "unix"):
        return warn(f"no password, on {_place(redis)}: every local process may read and empty it", **more)
    if redis.provider:
        return warn(f"no password: only {redis.provider}'s network rules protect it", **more)
    return failed(f"no password, on a {redis.network} network: anybody there may read and empty it", **more)


def _place(redis: RedisFacts) -> str:
    return "a Unix socket" if redis.network == "unix" else "loopback"


@check(
    id="caching.security.tls",
    component="caching",
    severity="high",
    phase=1,
    requires="caching.reach.connect",
    fix="tls-port 6379 / port 0 / tls-cert-file / tls-key-file / tls-ca-cert-file  # and rediss:// in the clients",
    effort="days",
    reference="https://valkey.io/topics/encryption/",
    verify="openssl s_client -connect HOST:6379 </dev/null | openssl x509 -noout -dates -issuer",
)
def tls(redis: RedisFacts, *, good_days: int = 30, bad_days: int = 7) -> Finding:
    """Traffic to the cache is encrypted, with a certificate that is valid for a while.

    In plain text the password and everything cached can be read on the way. Judged is the connection of redis.url; a
    mesh that encrypts beneath it cannot be seen, and is a reason for a waiver.
    """
    if not redis.tls:
        if redis.network in ("loopback", "unix"):
            return not_applicable(f"the connection never leaves the host ({_place(redis)})", network=redis.network)
        expected = "TLS (rediss:// or valkeys://)"
        return failed(f"plain text over a {redis.network} network", observed="plain text", expected=expected)
    handshake = redis.handshake
    days = (handshake.expires - redis.now) / _DAY
    more: dict[str, Any] = {
        "observed": f"{handshake.version}, certificate for {days:,.0f} more days",
        "expected": f"TLS, certificate for more than {good_days} days",
    }
    if days < bad_days:
        return failed(f"the certificate ends in {days:.0f} days", **more)
    if days < good_days:
        return warn(f"the certificate ends in {days:.0f} days", **more)
    if handshake.self_signed:
        return warn("the certificate is self-signed, trusted by file", **more)
    return passed(f"{handshake.version}, certificate for {days:,.0f} more days", **more)


@check(
    id="caching.security.exposure",
    component="caching",
    severity="high",
    phase=1,
    requires="caching.reach.connect",
    privilege="+config|get",
    fix="bind 127.0.0.1 10.0.0.5 / protected-mode yes  # in valkey.conf, and a firewall in front",
    effort="hours",
    reference=_SECURITY,
    verify="redis-cli -u $REDIS_URL CONFIG GET bind",
)
def exposure(redis: RedisFacts) -> Finding:
    """The server listens only where its clients are.

    Listening on every interface is the default, and usual in a container, whose network decides who gets there. With a
    password it is one mistake away from the Internet; without one, and without protected mode, it is open.
    """
    bind, protected, told = redis.config.bind, redis.config.protected_mode, redis.anonymous
    everywhere = not bind.strip() or any(_is_wildcard(address) for address in bind.split())
    public = redis.network == "public"
    open_to_all = told in ("open", "limited") and not (protected and not public)
    more: dict[str, Any] = {
        "observed": f"bind {bind or '(all)'}, protected mode {show(protected)}, without a password: {told}",
        "expected": "named addresses",
    }
    where = "listens on every interface" if everywhere else "answers on a public address"
    if not everywhere and not public:
        return passed(f"listens on {bind}", **more)
    if open_to_all:
        return failed(f"{where}, without a password", **more)
    if told in ("refused", "protected"):
        return warn(f"{where}; a password protects it", **more)
    return passed(f"{where}, and protected mode refuses other hosts", **more)


def _is_wildcard(address: str) -> bool:
    return address.lstrip("-") in ("*", "0.0.0.0", "::", "::*")
