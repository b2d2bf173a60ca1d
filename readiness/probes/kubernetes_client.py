"""Requests to a Kubernetes API server: GET, and a POST for the two reviews of one's own rights, which create nothing.

Lists come in pages, and one page at a time is in memory. Answers are read raw under a byte limit and a deadline; what
is refused, missing or too large becomes an absent fact with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import json
import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from readiness.errors import BudgetSpent, ProbeError
from readiness.facts.base import Absent, absent
from readiness.probes.kubeconfig import Target
from readiness.probes.kubernetes_login import Login
from readiness.spec import Context

PARALLEL = 4
PAGE = 250
_SMALLEST_PAGE = 10
_MOST_PAGES = 400
_REVIEWS = "/apis/authorization.k8s.io/v1/"


@dataclass(frozen=True, slots=True)
class Answer:
    """A parsed answer; `document` is None where the body was none. `status` is 0 where there was no answer."""

    status: int
    document: Any = None
    reason: str = ""
    too_large: bool = False


class Api:
    """One API server, with one login. `answered` says that it did at all, `rejected` that it refused the login."""

    def __init__(self, client: httpx.AsyncClient, target: Target, context: Context) -> None:
        self._client = client
        self._server = target.server
        self._context = context
        self.namespace = target.namespace
        self.answered = False
        self.rejected = False

    async def get(self, path: str, what: str) -> Any:
        """One document as a mapping, or an absent fact. `what` names it in the reason."""
        answer = await self._send("GET", path)
        return answer.document if _sound(answer) else self._missing(answer, what)

    async def review(self, kind: str, spec: Mapping[str, Any]) -> Any:
        """The status of a SelfSubjectAccessReview or SelfSubjectRulesReview, or an absent fact."""
        assert kind in ("selfsubjectaccessreviews", "selfsubjectrulesreviews")
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": _KINDS[kind], "spec": spec}
        answer = await self._send("POST", _REVIEWS + kind, json.dumps(body).encode())
        status = answer.document.get("status") if _sound(answer) else None
        return status if isinstance(status, dict) else self._missing(answer, kind, verb="create")

    async def each(
        self, path: str, what: str, take: Callable[[dict[str, Any]], None], most: int, selector: str = ""
    ) -> Absent | None:
        """Hands every object of a list to `take`, page by page.

        Args:
            what: the resource, such as `pods` or `deployments.apps`.
            most: how many objects are read at most.
            selector: a label selector.

        Returns:
            None, or why the list could not be read to its end; what was taken until then is then of no use.
        """
        size, token, seen = PAGE, "", 0
        for _ in range(_MOST_PAGES):
            query = {"limit": str(size), "continue": token, "labelSelector": selector}
            given = {key: value for key, value in query.items() if value}
            answer = await self._send("GET", f"{path}?{urlencode(given)}")
            if answer.too_large and size > _SMALLEST_PAGE:
                size = max(size // 4, _SMALLEST_PAGE)
                continue
            # The snapshot behind the token has expired: the server offers to go on with newer objects.
            if answer.status == 410 and token and (newer := _next(answer.document)) not in ("", token):
                token = newer
                continue
            items = answer.document.get("items") if _sound(answer) else None
            if not isinstance(items, list):
                missing: Absent = self._missing(answer, what, verb="list")
                return missing
            for item in items:
                if isinstance(item, dict):
                    take(item)
            seen += len(items)
            token = _next(answer.document)
            if not token:
                return None
            if seen >= most:
                break
        reason = f"more than {most:,} {what} in {self.namespace}: narrow it down with kubernetes.selector"
        return Absent(reason if seen >= most else f"the list of {what} has no end")

    def _missing(self, answer: Answer, what: str, verb: str = "get") -> Any:
        where = f"{what} in namespace {self.namespace}" if verb == "list" else what
        if answer.status == 403:
            role = "system:basic-user" if verb == "create" else "view" if verb == "list" else "system:discovery"
            return absent(f"the account may not {verb} {where}", f"{verb} {where} (ClusterRole {role})")
        if answer.reason:
            return absent(answer.reason)
        if answer.status == 404:
            return absent(f"the API server knows no {what}")
        if _sound(answer):
            return absent(f"the answer for {what} is of another shape")
        return absent(f"the API server answers {answer.status} for {what}")

    async def _send(self, method: str, path: str, content: bytes | None = None) -> Answer:
        limits = self._context.limits
        most = int(limits.response_mb * 1_000_000)
        headers = {"Content-Type": "application/json"} if content is not None else None
        shown = path.partition("?")[0]
        try:
            self._context.budget.take()
            async with asyncio.timeout(limits.request_seconds):
                request = self._client.build_request(method, self._server + path, content=content, headers=headers)
                response = await self._client.send(request, stream=True)
                try:
                    body = await _read(response, most)
                finally:
                    await response.aclose()
        except TimeoutError:
            return Answer(0, reason=f"{shown}: no complete answer within {limits.request_seconds:g} s")
        except BudgetSpent as error:
            return Answer(0, reason=error.reason)
        except (httpx.HTTPError, ssl.SSLError) as error:
            return Answer(0, reason=_reason(error))
        except Exception as error:  # h11 and httpx raise foreign errors on malformed answers
            return Answer(0, reason=f"{shown}: malformed answer ({type(error).__name__})")
        self.answered = True
        self.rejected = self.rejected or response.status_code == 401
        if body is None:
            reason = f"{shown} answers more than {limits.response_mb:g} MB; limits.response_mb sets the ceiling"
            return Answer(response.status_code, reason=reason, too_large=True)
        return Answer(response.status_code, _parsed(body))


_KINDS = {
    "selfsubjectaccessreviews": "SelfSubjectAccessReview",
    "selfsubjectrulesreviews": "SelfSubjectRulesReview",
}


def _sound(answer: Answer) -> bool:
    return 200 <= answer.status < 300 and isinstance(answer.document, dict)


def _next(document: Any) -> str:
    """The token with which a list goes on; empty at its end."""
    metadata = document.get("metadata") if isinstance(document, dict) else None
    token = metadata.get("continue") if isinstance(metadata, dict) else None
    return token if isinstance(token, str) and len(token) <= 8000 else ""


async def _read(response: httpx.Response, most: int) -> bytearray | None:
    """The body as sent, or None where it is larger than `most` bytes."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most:
            return None
    return body


def _parsed(body: bytearray) -> Any:
    """The document, or None."""
    collects = gc.isenabled()
    # Half of the time would go into looking for garbage where nothing is garbage yet.
    gc.disable()
    try:
        return json.loads(without_records(body))
    except (ValueError, RecursionError):
        return _loaded(body)
    finally:
        if collects:
            gc.enable()


def _loaded(body: bytearray) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


_TRIES = 20  # a hostile list could have the beginning of its end at every other byte
_RECORDS = b'"managedFields":[{'


def without_records(body: bytearray) -> bytes | bytearray:
    """A list without the records of who set which field: most of its objects, half of its bytes, and never read.

    They hold no list of their own, so the first `}]` outside of a string ends them; where one did, what is left would
    be no JSON, and the caller takes the whole. No string can hold their beginning, because its quotes are escaped.
    """
    parts, kept = [], 0
    while (start := body.find(_RECORDS, kept)) >= 0:
        start += len(_RECORDS) - 1
        end, tries = body.find(b"}]", start), 0
        while end >= 0 and _inside_string(body, start, end):
            end, tries = body.find(b"}]", end + 1) if tries < _TRIES else -1, tries + 1
        # Behind an escaped backslash a quote ends its string: such a list is read as it is.
        if end < 0 or body.find(rb"\\", start, end) >= 0:
            return body
        parts.append(body[kept:start])
        kept = end + 1
    return b"".join((*parts, body[kept:])) if parts else body


def _inside_string(body: bytearray, start: int, end: int) -> bool:
    """Whether `end` lies in a string, as quotes that are not escaped open and close; `start` does not."""
    return (body.count(b'"', start, end) - body.count(rb"\"", start, end)) % 2 == 1


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return f"could not connect ({text})" if isinstance(error, httpx.ConnectError) else text


@contextlib.asynccontextmanager
async def connected(target: Target, login: Login, context: Context) -> AsyncIterator[Api]:
    """An `Api` for the target. Credentials go over TLS only; plain HTTP is for a proxy that logs in by itself.

    Raises:
        ProbeError: the certificates of the kubeconfig cannot be used.
    """

    async def name(request: httpx.Request) -> None:
        request.extensions["sni_hostname"] = target.tls_name

    secure = target.server.startswith("https:")
    headers = [("User-Agent", context.user_agent), ("Accept", "application/json"), ("Accept-Encoding", "identity")]
    limits = context.limits
    try:
        proxy = httpx.Proxy(target.proxy) if target.proxy else None
    except (httpx.InvalidURL, ValueError):
        raise ProbeError("the proxy-url of the kubeconfig's cluster is not http://HOST:PORT") from None
    async with httpx.AsyncClient(
        headers=[*headers, *(login.headers if secure else ())],
        verify=_tls(target, login),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        limits=httpx.Limits(max_connections=PARALLEL),
        timeout=httpx.Timeout(limits.request_seconds, connect=max(limits.connect_seconds, limits.handshake_seconds)),
        trust_env=False,
        follow_redirects=False,
        proxy=proxy,
        event_hooks={"request": [name] if target.tls_name else []},
    ) as client:
        yield Api(client, target, context)


def transport(target: Target) -> str:
    """How the server is reached: `verified`, `unverified`, `local` or `none`; see the facts."""
    parts = urlsplit(target.server)
    if parts.scheme == "https":
        return "verified" if target.verify else "unverified"
    return "local" if _loopback(parts.hostname or "") else "none"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _tls(target: Target, login: Login) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=target.authority or None)
        # The authorities of many clusters lack extensions that Python demands from 3.13 on, and kubectl does not.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not target.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if login.certificate:
            _present(context, login)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ProbeError(f"the certificates of the kubeconfig cannot be used ({type(error).__name__})") from None
    return context


def _present(context: ssl.SSLContext, login: Login) -> None:
    """Loads the client certificate from a file that lives for a moment: the library takes nothing else."""
    descriptor, path = tempfile.mkstemp(prefix="readiness-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(login.certificate.rstrip() + b"\n" + login.key)
        # Without an answer to the question for a password, an encrypted key would ask on the terminal.
        context.load_cert_chain(path, password=lambda: b"")
    finally:
        Path(path).unlink()
