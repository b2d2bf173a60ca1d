"""python -m readiness.demo.payment_provider PORT: the company that charges the cards, as far as the market sees it."""

from __future__ import annotations

import secrets
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MOST_CENTS = 1_000_000


async def charge(request: Request) -> Response:
    """201 with the payment's id; 402 above the card's limit."""
    order = await request.json()
    if order["amount_cents"] > MOST_CENTS:
        return JSONResponse({"status": "declined"}, 402)
    return JSONResponse({"id": secrets.token_hex(12), "reference": order["reference"], "status": "paid"}, 201)


async def health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


if __name__ == "__main__":
    app = Starlette(routes=[Route("/charges", charge, methods=["POST"]), Route("/health", health)])
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, timeout_graceful_shutdown=1)
