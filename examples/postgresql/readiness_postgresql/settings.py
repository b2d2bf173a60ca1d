"""The section `postgresql` of readiness.yaml."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field, SecretStr

from readiness.api import Section


def _dsn(value: SecretStr) -> SecretStr:
    # Never quote the value: it holds a password.
    try:
        parts = urlsplit(value.get_secret_value())
    except ValueError:
        raise ValueError("not a URL") from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError("expected postgresql://USER:PASSWORD@HOST[:PORT]/DATABASE")
    if parts.fragment:
        raise ValueError("percent-encode # in user and password")
    if "password" in parse_qs(parts.query):
        raise ValueError("put the password before the @, where reports mask it")
    return value


class PostgreSQLSettings(Section):
    dsn: Annotated[SecretStr, AfterValidator(_dsn)] | None = Field(
        default=None, description="the auditor's own account; pg_monitor is enough"
    )
