"""Which answers are errors, and whom this service serves: programs that parse them, or people who read them."""

from __future__ import annotations

import json
from typing import Any

from readiness.facts.exchange import Exchange
from readiness.facts.http import HttpFacts, seen

OUTSIDE = ("unknown path", "bad percent-encoding")
"""The errors that were caused outside the endpoints' own part of the service."""
PAGE = ("text/html", "application/xhtml+xml")

PROBLEM = "application/problem+json"


def is_json(answer: Exchange) -> bool:
    return answer.media_type == "application/json" or answer.media_type.endswith("+json")


def serves_programs(http: HttpFacts) -> bool:
    """Whether JSON was seen where a client would use it; only then can errors be expected in JSON."""
    endpoints = [answer for entry in http.endpoints if (answer := seen(entry, "answer")) is not None]
    return http.profile == "api" or any(map(is_json, [http.root, *endpoints]))


def unknown_for_programs(http: HttpFacts) -> Exchange:
    """What a program gets for a path that does not exist: anywhere on an API, next to the endpoints on a web site."""
    return http.not_found if http.profile == "api" else http.not_found_api


def errors(http: HttpFacts) -> dict[str, Exchange]:
    """Every answer with a status of 400 or more, by its name."""
    return {label: answer for label, answer in http.answers() if answer.status >= 400}


def keys(answer: Exchange) -> dict[str, str] | None:
    """The keys of a JSON object with the JSON types of their values; None where the body is no object."""
    body = answer.parsed()
    return {str(key): kind(value) for key, value in body.items()} if isinstance(body, dict) else None


def kind(value: Any) -> str:
    """The JSON name of a value's type."""
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return "null"


def described(answer: Exchange) -> str:
    """Status and type, such as `404 application/json`."""
    return f"{answer.status} {answer.media_type or 'without a type'}"


def beginning(value: Any, limit: int = 60) -> str:
    """The beginning of a JSON value on one line."""
    text = " ".join(json.dumps(value, ensure_ascii=False).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
