"""What comes in: bodies and queries, read under a limit, validated, and where asked for freed of markup."""

from __future__ import annotations

import json
import re
import sys
from typing import Annotated, Any, TypeVar

import nh3
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo
from starlette.exceptions import HTTPException
from starlette.requests import Request

from readiness.demo.service.errors import Invalid

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def _clean(value: str, info: ValidationInfo) -> str:
    if not (info.context or {}).get("sanitise"):
        return value
    return nh3.clean(_CONTROL.sub("", value), tags=set()).strip()


Text = Annotated[str, AfterValidator(_clean)]
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{24}$")]
Word = Annotated[Text, Field(max_length=60)]


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Login(Input):
    email: Annotated[str, Field(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
    password: Annotated[SecretStr, Field(min_length=1, max_length=200)]


class NewOrder(Input):
    product_id: Id
    quantity: Annotated[int, Field(ge=1, le=10, strict=True)]
    note: Annotated[Text, Field(max_length=500)] = ""


class Page(Input):
    page: Annotated[int, Field(ge=1, le=500)] = 1
    limit: Annotated[int | None, Field(ge=1)] = None


class ProductQuery(Page):
    q: Word = ""
    category: Word = ""
    artisan: Id | None = None


class ArtisanQuery(Page):
    craft: Word = ""


Model = TypeVar("Model", bound=Input)


async def body(request: Request, model: type[Model]) -> Model:
    """The JSON body, validated. Raises the 413, 415 or 400 answer."""
    settings = request.app.state.market.settings
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415)
    most = settings.max_body or sys.maxsize
    if int(request.headers.get("content-length") or 0) > most:
        raise HTTPException(413)
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > most:
            raise HTTPException(413)
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        raise HTTPException(400, "The body is not valid JSON.") from None
    return _validate(request, model, data)


def query(request: Request, model: type[Model]) -> Model:
    """The query parameters, validated. Raises the 400 answer."""
    known = {name: value for name, value in request.query_params.items() if name in model.model_fields}
    return _validate(request, model, known)


def _validate(request: Request, model: type[Model], data: Any) -> Model:
    context = {"sanitise": request.app.state.market.settings.sanitise}
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise Invalid({".".join(map(str, entry["loc"])) or "body": entry["msg"] for entry in found[:20]}) from None
