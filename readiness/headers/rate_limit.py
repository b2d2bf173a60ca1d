"""Rate limits that an answer advertises, in every form that servers send.

The current draft (draft-ietf-httpapi-ratelimit-headers) has two structured lists; draft 7 had one dictionary, draft 6
three fields; before them came `X-RateLimit-*`; and a bare 429 or Retry-After also tells that there is a limit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from readiness.headers.base import Headers, first, short, values
from readiness.headers.structured import InnerList, Item, Malformed, parse_dictionary, parse_list


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`form` names the syntax; the numbers are None where the answer does not tell."""

    form: str
    text: str
    limit: int | None = None
    remaining: int | None = None
    window_seconds: int | None = None


def find(headers: Headers, status: int = 200) -> list[RateLimit]:
    """Everything in one answer that speaks of a rate limit."""
    found = [_current(headers), _draft7(headers), _draft6(headers), _legacy(headers)]
    limits = [limit for limit in found if limit is not None]
    after = first(headers, "retry-after")
    if status == 429:
        limits.append(RateLimit("429", f"429{f', Retry-After: {short(after, 20)}' if after else ''}"))
    elif after is not None and status not in (301, 503):
        limits.append(RateLimit("retry-after", f"Retry-After: {short(after, 20)}"))
    if first(headers, "x-envoy-ratelimited") is not None:
        limits.append(RateLimit("envoy", "x-envoy-ratelimited"))
    return limits


def _current(headers: Headers) -> RateLimit | None:
    """`RateLimit-Policy: "default";q=100;w=60` and `RateLimit: "default";r=50;t=30`."""
    policy, state = _items(headers, "ratelimit-policy"), _items(headers, "ratelimit")
    named = [item for item in (*policy, *state) if isinstance(item.value, str)]
    if not named:
        return None
    text = ", ".join(values(headers, "ratelimit-policy") + values(headers, "ratelimit"))
    return RateLimit(
        "draft-ietf-httpapi-ratelimit-headers",
        short(text),
        _parameter(policy, "q"),
        _parameter(state, "r"),
        _parameter(policy, "w"),
    )


def _items(headers: Headers, name: str) -> list[Item]:
    try:
        members = parse_list(", ".join(values(headers, name)))
    except Malformed:
        return []
    return [member for member in members if isinstance(member, Item)]


def _parameter(items: list[Item], name: str) -> int | None:
    return next((v for item in items if type(v := item.parameters.get(name)) is int), None)


def _draft7(headers: Headers) -> RateLimit | None:
    """`RateLimit: limit=2, remaining=1, reset=60`."""
    sent = ", ".join(values(headers, "ratelimit"))
    try:
        members = parse_dictionary(sent)
    except Malformed:
        return None
    numbers = {
        name: member.value
        for name, member in members.items()
        if not isinstance(member, InnerList) and type(member.value) is int
    }
    if "limit" not in numbers and "remaining" not in numbers:
        return None
    return RateLimit("draft-7", short(sent), numbers.get("limit"), numbers.get("remaining"), numbers.get("reset"))


def _draft6(headers: Headers) -> RateLimit | None:
    """`RateLimit-Limit`, `RateLimit-Remaining`, `RateLimit-Reset`, with the reset in seconds from now."""
    return _separate(headers, "draft-6", ("ratelimit",))


def _legacy(headers: Headers) -> RateLimit | None:
    """`X-RateLimit-*` and its spellings. The reset is an instant or a span, nobody knows which, so it is left out."""
    return _separate(headers, "x-ratelimit", ("x-ratelimit", "x-rate-limit"))


def _separate(headers: Headers, form: str, prefixes: tuple[str, ...]) -> RateLimit | None:
    for prefix in prefixes:
        limit, remaining = first(headers, f"{prefix}-limit"), first(headers, f"{prefix}-remaining")
        if limit is not None or remaining is not None:
            text = ", ".join(f"{k}: {v}" for k, v in headers if k.lower().startswith(prefix + "-"))
            return RateLimit(form, short(text), _number(limit), _number(remaining))
    return None


def _number(text: str | None) -> int | None:
    """The leading number: some servers append their policies, as in `100, 100;w=60`."""
    found = re.match(r"[0-9]{1,15}", text or "")
    return int(found[0]) if found else None
