"""Paths that must refuse strangers: asked without a credential, with worthless ones, and under other spellings."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import secrets
from typing import Any

from readiness.api import HttpSettings
from readiness.facts.base import Absent
from readiness.facts.exchange import Exchange
from readiness.facts.http import Attempt, ProtectedPath
from readiness.probes.asking import Answer, Asker, missing

MOST_PROTECTED, MOST_FORGERIES = 6, 2
JSON = {"Accept": "application/json"}
UNSIGNED_JWT = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJyZWFkaW5lc3MiLCJleHAiOjQxMDI0NDQ4MDB9."
_LOGIN = re.compile(r"<input[^<>]{0,200}type\s*=\s*[\"']?password", re.IGNORECASE)
_BEARER_JWT = re.compile(r"(?i)bearer\s+([\w-]+\.[\w-]+\.)([\w-]+)")


async def ask_protected(ask: Asker, settings: HttpSettings, unknown: list[str]) -> dict[str, Any]:
    """The first two paths get the forged tokens, the first also the rest; `unknown` are bodies of unknown paths."""

    async def one(number: int, path: str) -> ProtectedPath:
        authorised: Answer = missing("no http.headers are configured")
        if settings.headers:
            authorised = await ask("protected", "GET", path, headers=JSON)
        attempts = {"anonymous": await ask("protected", "GET", path, headers=JSON, anonymous=True)}
        for name, value in _forged(settings, number).items():
            headers = {"Authorization": value, **JSON}
            answer = await ask("protected", "GET", path, headers=headers, anonymous=True, broken=True)
            attempts[name] = _hidden(answer) if name == "tampered" else answer
        for name, spelling in (_spellings(path) if number == 0 else {}).items():
            attempts[name] = await ask("protected", "GET", spelling, headers=JSON, anonymous=True, broken=True)
        made = {name: _attempt(answer, authorised, unknown) for name, answer in attempts.items()}
        return ProtectedPath(path=path, authorised=_without_body(authorised), **made)

    paths = settings.protected[:MOST_PROTECTED]
    return {"protected": tuple(await asyncio.gather(*(one(n, path) for n, path in enumerate(paths))))}


def _forged(settings: HttpSettings, number: int) -> dict[str, str]:
    """Worthless values of Authorization."""
    if number >= MOST_FORGERIES:
        return {}
    forged = {"garbage": "Bearer rdy-garbage", "unsigned": f"Bearer {UNSIGNED_JWT}"}
    if number == 0:
        forged |= {"expired": f"Bearer {expired_jwt()}", "empty_password": "Basic cmR5Og=="}
        own = next((v.get_secret_value() for k, v in settings.headers.items() if k.lower() == "authorization"), "")
        if (changed := tampered(own)) is not None:
            forged["tampered"] = changed
    return forged


def expired_jwt() -> str:
    """A JWT that ended in 2001, signed with a random key."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    claims = {"sub": "readiness", "iat": 999_990_000, "exp": 1_000_000_000}
    signed = f"{part(json.dumps({'alg': 'HS256', 'typ': 'JWT'}).encode())}.{part(json.dumps(claims).encode())}"
    return f"{signed}.{part(hmac.digest(secrets.token_bytes(32), signed.encode(), hashlib.sha256))}"


def tampered(value: str) -> str | None:
    """The bearer JWT with another first character of its signature, whose bits all count; None where it is no JWT."""
    found = _BEARER_JWT.fullmatch(value.strip())
    return f"Bearer {found[1]}{'B' if found[2][0] == 'A' else 'A'}{found[2][1:]}" if found else None


def _hidden(answer: Answer) -> Answer:
    """The tampered token is nearly the configured one: it does not belong into the facts."""
    if isinstance(answer, Absent):
        return answer
    return answer.model_copy(update={"sent": {"Authorization": "Bearer (yours, one character changed)", **JSON}})


def _spellings(path: str) -> dict[str, str]:
    """Other spellings of the path, which a filter in front may not know while the application behind it does."""
    plain, question, query = path.partition("?")
    if plain == "/":
        return {}
    tail = question + query
    last = plain.rstrip("/")
    return {"slash": f"{last}/{tail}", "semicolon": f"{last};rdy{tail}", "double": f"/{plain}{tail}"}


def _attempt(answer: Answer, authorised: Answer, unknown: list[str]) -> Attempt:
    if isinstance(answer, Absent):
        return Attempt(answer=answer)
    return Attempt(
        answer=_without_body(answer),
        same_body=authorised if isinstance(authorised, Absent) else answer.body == authorised.body,
        like_unknown=bool(answer.body) and answer.body in unknown,
        login_form=_LOGIN.search(answer.body) is not None,
    )


def _without_body(answer: Answer) -> Answer:
    return answer.model_copy(update={"body": ""}) if isinstance(answer, Exchange) and answer.status < 400 else answer
