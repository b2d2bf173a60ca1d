"""What a run collected: facts by their type, or the reason why there are none. Saved and loaded as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from readiness.errors import ConfigError
from readiness.facts.base import Facts

FORMAT = "readiness-facts-1"


class Outcome(StrEnum):
    COLLECTED = "collected"
    FAILED = "failed"
    NOT_CONFIGURED = "not_configured"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Collected:
    """The outcome of one probe. `needs` is the configuration key that enables it, `seconds` how long it took."""

    outcome: Outcome
    facts: Facts | None = None
    reason: str = ""
    privilege: str | None = None
    needs: str = ""
    seconds: float = 0.0


Collection = Mapping[type[Facts], Collected]


def dump(collection: Collection, scrub: Callable[[Any], Any] = lambda data: data) -> str:
    """The collection as strict JSON, one entry a facts type; `scrub` takes out of the data what must not be saved."""
    entries = {
        facts.__name__: {
            "outcome": entry.outcome.value,
            "reason": entry.reason,
            "privilege": entry.privilege,
            "needs": entry.needs,
            "seconds": round(entry.seconds, 3),
            "facts": entry.facts.to_json() if entry.facts is not None else None,
        }
        for facts, entry in collection.items()
    }
    data = {"format": FORMAT, "collected": scrub(entries)}
    return json.dumps(data, indent=1, allow_nan=False, sort_keys=True)


def load(text: str, place: str, known: Iterable[type[Facts]]) -> dict[type[Facts], Collected]:
    """The inverse of `dump`; facts that no installed pack knows are left out. Raises ConfigError naming `place`."""
    types = {facts.__name__: facts for facts in known}
    try:
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ConfigError("not a facts file of this version", place=place, hint="write one with --save-facts")
        return {
            types[name]: Collected(
                Outcome(entry["outcome"]),
                types[name].from_json(entry["facts"]) if entry["facts"] is not None else None,
                entry["reason"],
                entry["privilege"],
                entry["needs"],
                entry["seconds"],
            )
            for name, entry in data["collected"].items()
            if name in types
        }
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{error.title}.{where}: {first['msg']}", place=place) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"not a facts file ({type(error).__name__})", place=place) from None
