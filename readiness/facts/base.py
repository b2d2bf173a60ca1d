"""The base of every facts model: plain typed data, in which what was not learned is absent.

A field declared `policy: Fact[str] = ABSENT` holds either a string or an `Absent` with the reason. Reading an absent
field raises `FactMissing`, so that a check can never mistake "refused" for a default. A value of the wrong type, which
a broken server may well send, becomes absent too: one bad field costs one check, not the probe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Self, TypeVar, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapSerializer,
    WrapValidator,
)

from readiness.errors import FactMissing

T = TypeVar("T")

_TAG = "$absent"


@dataclass(frozen=True, slots=True)
class Absent:
    """Why a fact is not there, and the privilege that would have given it."""

    reason: str
    privilege: str | None = None


ABSENT: Any = Absent("not reported by the system")
"""The default of every `Fact` field."""


UNREADABLE = "unreadable"
"""How the reason begins where a system sent something of the wrong type."""


def absent(reason: str, privilege: str | None = None) -> Any:
    """An absent value for a `Fact` field, with the reason."""
    return Absent(reason, privilege)


def _validate(value: Any, validate: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    if isinstance(value, Absent):
        return value
    if isinstance(value, dict) and _TAG in value:
        return Absent(str(value[_TAG]), value.get("privilege"))
    try:
        return validate(value)
    except ValidationError as error:
        if info.context is not None and info.context.get("strict"):
            raise
        return Absent(f"{UNREADABLE}: {error.errors(include_url=False, include_input=False)[0]['msg'].lower()}")


def _serialize(value: Any, serialize: SerializerFunctionWrapHandler) -> Any:
    if isinstance(value, Absent):
        return {_TAG: value.reason} | ({"privilege": value.privilege} if value.privilege else {})
    return serialize(value)


Fact = Annotated[T, WrapValidator(_validate), WrapSerializer(_serialize)]


class Facts(BaseModel):
    """What a probe learned of one system. Frozen; unknown fields are ignored, NaN and infinities are unreadable."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, allow_inf_nan=False)

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if type(value) is Absent:
            raise FactMissing(f"{type(self).__name__}.{name}", value.reason, value.privilege)
        return value

    @classmethod
    def unavailable(cls, reason: str, privilege: str | None = None) -> Self:
        """A stand-in for facts that could not be collected: every field is absent, with the reason."""
        fields: dict[str, Any] = dict.fromkeys(cls.model_fields, Absent(reason, privilege))
        return cast(Self, cls.model_construct(None, **fields))

    def reached(self) -> Self:
        """These facts. Raises FactMissing where they are a stand-in: the system could not be read at all."""
        if all(type(value) is Absent for value in self.__dict__.values()):
            getattr(self, next(iter(type(self).model_fields)))
        return self

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data without the fields that still have their default."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_json(cls, data: Any) -> Any:
        """The inverse of `to_json`. Raises pydantic's ValidationError where a saved value has the wrong type."""
        return cls.model_validate(data, context={"strict": True})


def maybe(read: Callable[[], T]) -> T | None:
    """`read()`, or None where it touches an absent fact: `maybe(lambda: redis.config.save)`."""
    try:
        return read()
    except FactMissing:
        return None
