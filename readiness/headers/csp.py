"""Content-Security-Policy, W3C CSP Level 3: a parser, the effective directives, and what they let through.

Several policies apply together: what one of them forbids is forbidden. Every rule is therefore judged for each policy
alone, and the best of them counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from readiness.headers.base import Headers, Verdict, gravest, short, shown, values
from readiness.headers.csp_bypass import bypass
from readiness.headers.structured import Malformed, parse_dictionary
from readiness.model import Status

HEADER = "content-security-policy"
REPORT_ONLY = "content-security-policy-report-only"
NONE = "'none'"

_CHAINS: Mapping[str, tuple[str, ...]] = {
    "script-src-elem": ("script-src", "default-src"),
    "script-src-attr": ("script-src", "default-src"),
    "style-src-elem": ("style-src", "default-src"),
    "style-src-attr": ("style-src", "default-src"),
    "worker-src": ("child-src", "script-src", "default-src"),
    "frame-src": ("child-src", "default-src"),
}
_BY_DEFAULT = (
    "child-src", "connect-src", "font-src", "img-src", "manifest-src", "media-src", "object-src", "script-src",
    "style-src",
)  # fmt: skip
_OTHERS = (
    "default-src", "base-uri", "form-action", "frame-ancestors", "sandbox", "report-uri", "report-to", "webrtc",
    "upgrade-insecure-requests", "require-trusted-types-for", "trusted-types", "fenced-frame-src",
)  # fmt: skip
DEPRECATED = frozenset(
    ("block-all-mixed-content", "plugin-types", "prefetch-src", "navigate-to", "referrer", "reflected-xss",
     "require-sri-for", "disown-opener", "policy-definition")
)  # fmt: skip
_FALLBACKS = {**_CHAINS, **dict.fromkeys(_BY_DEFAULT, ("default-src",))}
KNOWN = frozenset((*_FALLBACKS, *_OTHERS, *DEPRECATED))

_NONCE = re.compile(r"'nonce-([A-Za-z0-9+/_-]+={0,2})'", re.IGNORECASE)
_HASH = re.compile(r"'sha(?:256|384|512)-[A-Za-z0-9+/_-]+={0,2}'", re.IGNORECASE)
_KEYWORDS = ("self", "none", "unsafe-inline", "unsafe-eval", "strict-dynamic", "unsafe-hashes", "wasm-unsafe-eval")
_QUOTED_KEYWORDS = (
    "report-sample", "inline-speculation-rules", "trusted-types-eval", "unsafe-allow-redirects", "report-sha256",
    "report-sha384", "report-sha512", "unsafe-webtransport-hashes",
)  # fmt: skip
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")
_HOST = re.compile(r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<host>[^:/]+)(?::(?:\d+|\*))?(?:/.*)?")
_WHITE = " \t\n\f\r"
SHORTEST_NONCE = 8


@dataclass(frozen=True, slots=True)
class Policy:
    """Directives in lower case with their source expressions; of equal directives the first counts."""

    directives: Mapping[str, tuple[str, ...]]
    repeated: tuple[str, ...] = ()

    def effective(self, name: str) -> tuple[str, tuple[str, ...]] | None:
        """The directive that governs `name` after the fallbacks, with its sources; None where nothing does."""
        for candidate in (name, *_FALLBACKS.get(name, ())):
            if candidate in self.directives:
                return candidate, self.directives[candidate]
        return None


def parse(value: str) -> Policy:
    """One serialized policy (section 2.2.1). Tokens that are not ASCII are dropped, as the standard says."""
    directives: dict[str, tuple[str, ...]] = {}
    repeated: list[str] = []
    for token in value.split(";"):
        words = re.split(f"[{_WHITE}]+", token.strip(_WHITE))
        if not words[0] or not token.isascii():
            continue
        name = words[0].lower()
        if name in directives:
            repeated.append(name)
        else:
            directives[name] = tuple(words[1:])
    return Policy(directives, tuple(repeated))


def policies(headers: Headers, name: str = HEADER) -> list[Policy]:
    """Every policy of every header of that name; a comma separates policies within one header."""
    parsed = [parse(part) for value in values(headers, name) for part in value.split(",")]
    return [policy for policy in parsed if policy.directives]


def nonces(headers: Headers) -> set[str]:
    """The nonces of the enforced policies."""
    return {
        found[1]
        for policy in policies(headers)
        for sources in policy.directives.values()
        for source in sources
        if (found := _NONCE.fullmatch(source))
    }


def is_nothing(sources: tuple[str, ...]) -> bool:
    """Whether a source list matches nothing: it is empty, or `'none'` alone."""
    return not sources or (len(sources) == 1 and sources[0].lower() == NONE)


def is_broad(source: str) -> bool:
    """Whether an expression matches hosts of anybody: `*`, `https:`, `*:*`, `https://*`, `*.com`."""
    text = source.lower()
    if text == "*" or _SCHEME.fullmatch(text):
        return True
    found = _HOST.fullmatch(text)
    if found is None or text.startswith("'"):
        return False
    host = found["host"]
    return host == "*" or (host.startswith("*.") and "." not in host[2:])


def _trusts_by_nonce_or_hash(sources: tuple[str, ...]) -> bool:
    return any(_NONCE.fullmatch(source) or _HASH.fullmatch(source) for source in sources)


def _has(sources: tuple[str, ...], keyword: str) -> bool:
    return any(source.lower() == f"'{keyword}'" for source in sources)


def _script_list(policy: Policy, name: str) -> tuple[Status, str]:
    """Judges the sources of one kind of script: `script-src-elem`, `script-src-attr` or `script-src`."""
    governing = policy.effective(name)
    if governing is None:
        return Status.FAIL, "neither script-src nor default-src limits scripts"
    directive, sources = governing
    if is_nothing(sources):
        return Status.PASS, f"{directive} 'none'"
    trusted, dynamic = _trusts_by_nonce_or_hash(sources), _has(sources, "strict-dynamic")
    # A nonce, a hash or 'strict-dynamic' switches 'unsafe-inline' off (section 6.7.3.2).
    if _has(sources, "unsafe-inline") and not trusted and not dynamic:
        return Status.FAIL, f"{directive} allows 'unsafe-inline'"
    if name == "script-src-attr":
        return Status.PASS, f"{directive} limits event handlers"
    if not dynamic:  # 'strict-dynamic' also switches hosts and schemes off
        broad = [source for source in sources if is_broad(source) and source.lower() != "blob:"]
        if broad:
            return Status.FAIL, f"{directive} allows {short(', '.join(broad), 40)}"
        if any(source.lower() == "blob:" for source in sources):
            return Status.WARN, f"{directive} allows blob:"
        if plain := next((source for source in sources if source.lower().startswith("http://")), None):
            return Status.WARN, f"{directive} allows scripts over plain http from {short(plain, 40)}"
    for found in map(_NONCE.fullmatch, sources):
        if found and len(found[1].rstrip("=")) < SHORTEST_NONCE:
            return Status.WARN, f"{directive} has a nonce of {len(found[1])} characters, which can be guessed"
    return Status.PASS, f"{directive} limits scripts"


def _scripts(policy: Policy) -> tuple[Status, str]:
    lists = [_script_list(policy, name) for name in ("script-src-elem", "script-src-attr")]
    status, reason = max(lists, key=lambda pair: (pair[0] is Status.FAIL, pair[0] is Status.WARN))
    return status, reason


def _bypass(policy: Policy) -> tuple[Status, str]:
    governing = policy.effective("script-src-elem")
    if governing is None or is_nothing(governing[1]) or _has(governing[1], "strict-dynamic"):
        return Status.PASS, "no host counts"
    directive, sources = governing
    eval_allowed = _has(sources, "unsafe-eval")
    for source in sources:
        if (found := bypass(source.lower(), eval_allowed=eval_allowed)) is not None:
            host, how = found
            return Status.WARN, f"{directive} allows {short(source, 40)}: {host} {how}"
    return Status.PASS, "no host known to serve scripts for anybody"


def _deprecated(policy: Policy) -> tuple[Status, str]:
    for name in policy.directives:
        if name in DEPRECATED:
            return Status.WARN, f"{name} is deprecated; browsers ignore it"
    if "report-uri" in policy.directives and "report-to" not in policy.directives:
        return Status.PASS, "report-uri alone is deprecated in favour of report-to, but works"
    return Status.PASS, "no deprecated directive"


def _eval(policy: Policy) -> tuple[Status, str]:
    governing = policy.effective("script-src")
    if governing is not None and _has(governing[1], "unsafe-eval"):
        return Status.WARN, f"{governing[0]} allows 'unsafe-eval'"
    return Status.PASS, "no 'unsafe-eval'"


def _objects(policy: Policy) -> tuple[Status, str]:
    governing = policy.effective("object-src")
    if governing is None:
        return Status.WARN, "object-src is missing: plug-in content can run scripts"
    if not is_nothing(governing[1]):
        return Status.WARN, f"object-src is not 'none' (from {governing[0]})"
    return Status.PASS, "object-src 'none'"


def _base(policy: Policy) -> tuple[Status, str]:
    governing = policy.effective("script-src-elem")
    if "base-uri" in policy.directives:
        broad = [source for source in policy.directives["base-uri"] if is_broad(source)]
        if broad:
            return Status.WARN, f"base-uri allows {short(', '.join(broad), 40)}"
        return Status.PASS, "base-uri is limited"
    if governing is not None and _trusts_by_nonce_or_hash(governing[1]):
        return Status.WARN, "base-uri is missing: an injected <base> redirects scripts that carry a nonce"
    return Status.PASS, "base-uri is not needed without nonces"


def _syntax(policy: Policy) -> tuple[Status, str]:
    unknown = [name for name in policy.directives if name not in KNOWN]
    if unknown:
        return Status.WARN, f"unknown directive {short(unknown[0], 40)}"
    if policy.repeated:
        return Status.WARN, f"{policy.repeated[0]} appears twice; the second is ignored"
    for directive, sources in policy.directives.items():
        if directive not in _FALLBACKS and directive not in ("default-src", "base-uri", "form-action"):
            continue
        for source in sources:
            text = source.lower()
            if text in _KEYWORDS or text.startswith(("nonce-", "sha256-", "sha384-", "sha512-")):
                return Status.WARN, f"{directive} {short(source, 30)} lacks its quotes"
            if text in KNOWN:
                return Status.WARN, f"a semicolon is missing before {text}"
            if text == NONE and len(sources) > 1:
                return Status.WARN, f"{directive} has 'none' beside other sources, so browsers ignore it"
            if text.startswith("'") and not _is_quoted(source):
                return Status.WARN, f"{directive} has {short(source, 30)}, which browsers do not know"
    return Status.PASS, "no syntax error"


def _is_quoted(source: str) -> bool:
    text = source.lower()
    known = text.endswith("'") and text[1:-1] in (*_KEYWORDS, *_QUOTED_KEYWORDS)
    return known or bool(_NONCE.fullmatch(source) or _HASH.fullmatch(source))


_RULES: Mapping[str, tuple[Callable[[Policy], tuple[Status, str]], str]] = {
    "csp.scripts": (_scripts, "scripts from named hosts, nonces or hashes, without 'unsafe-inline'"),
    "csp.eval": (_eval, "no 'unsafe-eval'"),
    "csp.objects": (_objects, "object-src 'none'"),
    "csp.base": (_base, "base-uri 'none' or 'self'"),
    "csp.bypass": (_bypass, "no host that serves JSONP or AngularJS to everybody"),
    "csp.syntax": (_syntax, "directives and keywords that browsers know"),
    "csp.deprecated": (_deprecated, "current directives only"),
}
_OF_ALL = ("csp.syntax", "csp.deprecated")  # a mistake in one policy stays one, whatever the others say
_RANK = {Status.PASS: 0, Status.WARN: 1, Status.FAIL: 2}


def judge_all(headers: Headers) -> list[Verdict]:
    """One verdict for each rule; where no policy is enforced, all but `csp.present` are not applicable."""
    enforced = policies(headers)
    if not enforced:
        if policies(headers, REPORT_ONLY):
            reason, seen = "the policy is report-only, so it stops nothing", "report-only"
        else:
            reason, seen = "Content-Security-Policy is missing", "not sent"
        missing = Verdict("csp.present", Status.FAIL, reason, seen, "an enforced policy that limits scripts")
        none = "no policy is enforced, so there is nothing to judge"
        rules = (*((id, expected) for id, (_, expected) in _RULES.items()), ("csp.reporting", "defined endpoints"))
        return [missing, *(Verdict(id, Status.NOT_APPLICABLE, none, seen, expected) for id, expected in rules)]
    observed = shown(values(headers, HEADER), 100)
    verdicts = [Verdict("csp.present", Status.PASS, "a policy is enforced", observed, "an enforced policy")]
    for id, (rule, expected) in _RULES.items():
        judged = [rule(policy) for policy in enforced]
        pick = max if id in _OF_ALL else min
        status, reason = pick(judged, key=lambda pair: _RANK[pair[0]])
        verdicts.append(Verdict(id, status, reason, observed, expected))
    return [*verdicts, _reporting(headers, enforced, observed)]


def _reporting(headers: Headers, enforced: list[Policy], observed: str) -> Verdict:
    """Whether the endpoints that report-to names are defined; without the directive there is nothing to define."""
    named = {sources[0] for policy in enforced if (sources := policy.directives.get("report-to"))}

    def verdict(status: Status, reason: str) -> Verdict:
        return Verdict("csp.reporting", status, reason, observed, "report-to names an endpoint of Reporting-Endpoints")

    if not named:
        return verdict(Status.NOT_APPLICABLE, "no report-to, so no endpoint is needed")
    try:
        defined = set(parse_dictionary(", ".join(values(headers, "reporting-endpoints"))))
    except Malformed as error:
        return verdict(Status.WARN, f"browsers ignore Reporting-Endpoints: {error}")
    old = " ".join(values(headers, "report-to"))
    missing = sorted(name for name in named if name not in defined and f'"{name}"' not in old)
    if missing:
        return verdict(
            Status.WARN, f"report-to names {short(missing[0], 40)}, which Reporting-Endpoints does not define"
        )
    return verdict(Status.PASS, "the reporting endpoints are defined")


def judge(headers: Headers) -> Verdict:
    """The gravest verdict of all rules."""
    return gravest(judge_all(headers))
