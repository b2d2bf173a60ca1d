"""Logins and tokens: scrypt for passwords, signed JWTs with issuer, audience and expiry for everything after."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

import jwt
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

_ALGORITHM = "HS256"
_COST = {"n": 2**14, "r": 8, "p": 1}
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="market"'}


def hash_password(password: str, salt: bytes | None = None) -> str:
    """`scrypt$SALT$HASH` in hexadecimal."""
    salt = salt or secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, **_COST).hex()}"


def password_matches(password: str, stored: str) -> bool:
    """Takes as long for an empty `stored` as for a real one, so that it does not tell who has an account."""
    _, salt, expected = stored.split("$") if stored else ("", "00" * 16, "")
    found = hash_password(password, bytes.fromhex(salt)).rpartition("$")[2]
    return hmac.compare_digest(found, expected)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Issues and checks the tokens of one service."""

    secret: str
    service: str
    seconds: float

    def issue(self, user: str) -> str:
        now = int(time.time())
        claims = {"iss": self.service, "aud": self.service, "sub": user, "iat": now, "exp": now + int(self.seconds)}
        return jwt.encode(claims, self.secret, _ALGORITHM)

    def user(self, connection: HTTPConnection) -> str | None:
        """The id of the user whose valid token came with the request, or None."""
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            claims = jwt.decode(
                token.strip(),
                self.secret,
                [_ALGORITHM],
                audience=self.service,
                issuer=self.service,
                options={"require": ["exp", "iat", "sub"]},
            )
        except jwt.InvalidTokenError:
            return None
        return str(claims["sub"])

    def required(self, connection: HTTPConnection) -> str:
        """The id of the user. Raises the 401 answer where there is no valid token."""
        user = self.user(connection)
        if user is None:
            raise HTTPException(401, headers=_CHALLENGE)
        return user
