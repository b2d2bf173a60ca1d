"""TLS: the certificate, the protocol versions, and the way from http to https."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from readiness.api import Finding, check, failed, not_applicable, passed, warn
from readiness.facts.http import HttpFacts
from readiness.facts.tls import TlsFacts
from readiness.headers import hsts

from . import _fixes, _fixes_access
from ._answers import judged, kinds

_SELF_SIGNED = (18, 19, 20, 21)  # X.509 verify codes: the chain ends at an issuer that nobody told us to trust
_NO_ISSUER = (20, 21)
_MODERN = ("GCM", "CHACHA20", "CCM")


@check(
    id="security.tls.certificate",
    component="security",
    severity="high",
    fix="Serve over https with a certificate that renews itself: certbot --nginx -d HOST",
    fixes=_fixes_access.TLS_CERTIFICATE,
    effort="hours",
    reference="https://cheatsheetseries.owasp.org/cheatsheets/Transport_Layer_Security_Cheat_Sheet.html",
    verify="openssl s_client -connect HOST:443 -servername HOST </dev/null | openssl x509 -noout -dates -subject",
)
def certificate(tls: TlsFacts, *, warn_days: float = 30, fail_days: float = 14) -> Finding:
    """The service is reached over https with a trusted certificate that does not expire soon.

    Without a valid certificate clients refuse the service, or can be made to talk to somebody else. ASVS 5.0 12.2.1 and
    12.2.2 ask for TLS and publicly trusted certificates on every external service. A certificate that is 14 days from
    its end was not renewed when it should have been; one made for less than 90 days is measured in shares of its life
    (a third left, a sixth left). Plain http is accepted with a warning where only this machine or a private network can
    listen.
    """
    expected = "https, a trusted chain, the right name, more than 30 days left"
    if tls.scheme == "http":
        return _plaintext(tls)
    if not tls.verified:
        private = tls.network != "public" and tls.error_code in _SELF_SIGNED
        more: dict[str, Any] = {"observed": tls.error, "expected": expected}
        if private and not tls.private_ca:
            return warn(f"{tls.error}; name the private CA in http.ca_file", **more)
        hint = "; is the intermediate certificate sent?" if tls.error_code in _NO_ISSUER else ""
        return failed(f"the certificate is not trusted: {tls.error.rstrip('.')}{hint}", **more)
    left, life = tls.days_left, tls.lifetime_days
    observed = f"{left:.0f} days left of {life:.0f}, issued by {tls.issuer[:60]}"
    evidence = {"not_after": tls.not_after, "names": list(tls.names[:10])}
    message = f"the certificate expires in {left:.0f} days"
    if left < min(fail_days, life / 6):
        return failed(message, observed=observed, expected=expected, evidence=evidence)
    if left < min(warn_days, life / 3):
        return warn(message, observed=observed, expected=expected, evidence=evidence)
    return passed(message, observed=observed, expected=expected, evidence=evidence)


def _plaintext(tls: TlsFacts) -> Finding:
    match tls.network:
        case "loopback":
            reason = "plain http, tolerated only because the address is loopback"
        case "private":
            reason = "plain http, tolerated only because the address is private"
        case _:
            return failed(
                f"{tls.host[:60]} is served over plain http", observed="http on a public address", expected="https"
            )
    return warn(reason, observed=f"http on a {tls.network} address", expected="https")


@check(
    id="security.tls.versions",
    component="security",
    severity="high",
    fixes=_fixes_access.TLS_VERSIONS,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9325",
    verify="openssl s_client -connect HOST:443 -tls1_1 -cipher ALL:@SECLEVEL=0 </dev/null",
)
def versions(tls: TlsFacts) -> Finding:
    """The service speaks TLS 1.3 and 1.2 with modern ciphers, and nothing older.

    RFC 8996 retired TLS 1.0 and 1.1; RFC 9325 asks for 1.3, for forward secrecy and for authenticated encryption. Each
    version is tried with a handshake of its own. SSL 2 and 3 cannot be tried with the system's OpenSSL.
    """
    if tls.scheme == "http":
        return not_applicable("plain http; security.tls.certificate judges that", scheme=tls.scheme)
    offered = {version: cipher for version, cipher in tls.offered.items() if cipher}
    expected = "TLS 1.3 and 1.2 with ECDHE and AEAD ciphers"
    observed = ", ".join(f"{version} ({cipher})" for version, cipher in offered.items()) or "no version"
    more: dict[str, Any] = {"observed": observed, "expected": expected}
    old = [version for version in ("TLSv1", "TLSv1.1") if version in offered]
    if old:
        return failed(f"offers {' and '.join(old)}, retired by RFC 8996", **more)
    if not offered:
        return failed("no protocol version could be negotiated", **more)
    if "TLSv1.3" not in tls.offered:
        return warn("TLS 1.3 could not be tried", **more)
    if "TLSv1.3" not in offered:
        return warn("does not offer TLS 1.3", **more)
    cipher = offered.get("TLSv1.2", "")
    if cipher and not cipher.startswith(("ECDHE", "DHE")):
        return warn(f"TLS 1.2 chose {cipher}, which has no forward secrecy", **more)
    if cipher and not any(mode in cipher for mode in _MODERN):
        return warn(f"TLS 1.2 chose {cipher}, which is not authenticated encryption", **more)
    return passed(f"offers {' and '.join(offered)}", **more)


@check(
    id="security.tls.upgrade",
    component="security",
    severity="medium",
    fixes=_fixes_access.TLS_UPGRADE,
    effort="minutes",
    reference="https://cheatsheetseries.owasp.org/cheatsheets/Transport_Layer_Security_Cheat_Sheet.html",
    verify="curl -sI http://HOST/",
)
def upgrade(tls: TlsFacts, http: HttpFacts) -> Finding:
    """Plain http serves nothing: it leads browsers to https, and refuses programs.

    A browser may be sent on with 301 or 308. A program that speaks http has already sent its credential in clear, so an
    API should refuse instead of redirecting (ASVS 5.0 4.1.2).
    """
    if tls.scheme == "http":
        return not_applicable("the service itself is plain http; security.tls.certificate judges that", scheme="http")
    if tls.own_port:
        return not_applicable("the URL names a port of its own, so port 80 is another service's", port=tls.port)
    if http.profile == "internal":
        return not_applicable("an internal service", profile="internal")
    plain = tls.plain
    target = urlsplit(plain.location) if _url(plain.location) else urlsplit("")
    api = http.profile == "api"
    expected = "refused, or 4xx" if api else "301 or 308 to https on the same host"
    observed = "refused" if plain.refused else f"{plain.status} {plain.location[:60]}".strip()
    more: dict[str, Any] = {"observed": observed, "expected": expected}
    if plain.refused or 400 <= plain.status < 500:
        return passed("plain http is refused", **more)
    if 300 <= plain.status < 400 and target.scheme == "https":
        if api:
            return warn("redirects a program that has already sent its credential in clear", **more)
        if target.hostname != tls.host:
            return warn(f"redirects to another host first: {str(target.hostname)[:60]}", **more)
        if plain.status not in (301, 308):
            return warn(f"redirects with {plain.status}, which is not permanent", **more)
        return passed("redirects to https", **more)
    return failed(f"plain http answers {plain.status} without leading to https", **more)


def _url(text: str) -> bool:
    try:
        urlsplit(text)
    except ValueError:
        return False
    return True


@check(
    id="security.headers.hsts",
    component="security",
    severity="high",
    requires="error_handling.reach.http",
    phase=1,
    item="Security Headers",
    fixes=_fixes.HSTS,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc6797",
    verify="curl -sI https://HOST/ | grep -i strict-transport",
)
def strict_transport(http: HttpFacts, *, at_least_seconds: int = hsts.YEAR) -> Finding:
    """Browsers are told to use https only, for at least a year (Strict-Transport-Security).

    Without it the first request of every visit can be intercepted. ASVS 5.0 3.4.1 asks for at least one year, and for
    subdomains from level 2. Browsers read the header on errors and redirects too, and ignore it over plain http (RFC
    6797, section 8.1).
    """
    if not http.https:
        return not_applicable("browsers ignore the header over plain http (RFC 6797, section 8.1)", url=http.base)
    answers = kinds(http) or {"root": http.root}
    answers |= {f"redirect {number}": hop for number, hop in enumerate(http.chain, 1)}
    return judged(answers, lambda answer: hsts.judge(answer.headers, seconds=at_least_seconds))
