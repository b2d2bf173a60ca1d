"""Every error leaves the service in one shape: status, code, message, requestId, and errors where fields are wrong."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus

from pymongo.errors import ConnectionFailure
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from readiness.demo.service.log import CONTEXT

log = logging.getLogger("market.errors")

RETRY_SECONDS = 5
_NOT_FOUND_PAGE = "<!doctype html>\n<html lang=en><title>Not found</title><h1>We do not have that page</h1></html>\n"
_CODES = {
    400: ("bad_request", "The request cannot be understood."),
    401: ("unauthorized", "A valid token is needed."),
    402: ("payment_declined", "The payment was declined."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This method is not allowed here."),
    409: ("conflict", "The request conflicts with the current state."),
    413: ("payload_too_large", "The body is too large."),
    414: ("uri_too_long", "The address is too long."),
    415: ("unsupported_media_type", "The body must be application/json."),
    429: ("rate_limited", "Too many requests."),
    431: ("headers_too_large", "The header fields are too large."),
    500: ("internal_error", "Something went wrong on our side."),
    503: ("unavailable", "A system that this needs is not available."),
}


class Unavailable(Exception):
    """A dependency that a request needs cannot be reached."""


class Invalid(Exception):
    """Input that does not validate: a sentence for each field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("invalid input")
        self.errors = dict(errors)


def error(
    status: int,
    message: str | None = None,
    *,
    errors: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer for an error of that status, with the id of the current request."""
    code, standard = _CODES.get(status, ("error", "The request failed."))
    body: dict[str, object] = {"status": status, "code": code, "message": message or standard}
    body["requestId"] = (CONTEXT.get() or {}).get("request_id")
    if errors:
        body["errors"] = [{"field": field, "message": text} for field, text in errors.items()]
    return JSONResponse(body, status, headers={"Cache-Control": "no-store", **(headers or {})})


async def _http(request: Request, exception: Exception) -> Response:
    assert isinstance(exception, HTTPException)
    headers = dict(exception.headers or {})
    phrase = HTTPStatus(exception.status_code).phrase
    by_router = exception.status_code == 404 and "endpoint" not in request.scope
    if by_router and not request.app.state.market.settings.own_not_found:
        return HTMLResponse(_NOT_FOUND_PAGE, 404)
    if "Allow" in headers:
        methods = {method.strip() for method in headers["Allow"].split(",")}
        answered = request.app.state.market.settings.answer_options
        headers["Allow"] = ", ".join(sorted(methods | {"OPTIONS"} if answered else methods))
        if answered and request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
    return error(exception.status_code, None if exception.detail == phrase else exception.detail, headers=headers)


async def _invalid(request: Request, exception: Exception) -> Response:
    assert isinstance(exception, Invalid)
    return error(400, "Some of the input is not valid.", errors=exception.errors)


async def _unavailable(request: Request, exception: Exception) -> Response:
    log.error("dependency failed", extra={"error": type(exception).__name__})
    return error(503, headers={"Retry-After": str(RETRY_SECONDS)})


async def _unexpected(request: Request, exception: Exception) -> Response:
    return error(500)


HANDLERS = {
    HTTPException: _http,
    Invalid: _invalid,
    Unavailable: _unavailable,
    ConnectionFailure: _unavailable,
    Exception: _unexpected,
}
