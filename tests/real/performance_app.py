"""A small service for the tests of the load and delivery probes: `python performance_app.py PORT NAME`."""

from __future__ import annotations

import asyncio
import os
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

NAME = sys.argv[2]
PAGE = """<!doctype html><html><head><title>Shop</title>
<link rel=stylesheet href="/static/style.css"><script src="static/app-4f3a9c1d.js"></script>
<script src="https://cdn.example.com/lib.js"></script></head><body><img src=/static/logo.png></body></html>"""
ITEMS = [{"id": number, "name": f"item {number}"} for number in range(200)]
calls = {"limited": 0, "flaky": 0}


async def page(request: Request) -> Response:
    return HTMLResponse(PAGE, headers={"ETag": '"page-1"'})


async def items(request: Request) -> Response:
    await asyncio.sleep(0.02)
    return JSONResponse({"items": ITEMS})


async def slow(request: Request) -> Response:
    await asyncio.sleep(0.15)
    return JSONResponse({"slow": True})


async def health(request: Request) -> Response:
    return JSONResponse({"status": "ok", "hostname": NAME, "pid": os.getpid()})


async def broken(request: Request) -> Response:
    return PlainTextResponse("no", 500)


async def hidden(request: Request) -> Response:
    allowed = request.headers.get("authorization") == "Bearer s3cret-token"
    return JSONResponse({"secret": True} if allowed else {"error": "unauthorised"}, 200 if allowed else 401)


async def moved(request: Request) -> Response:
    return RedirectResponse("/api/items?page=1")


async def away(request: Request) -> Response:
    return RedirectResponse("http://127.0.0.1:9/elsewhere")


async def limited(request: Request) -> Response:
    calls["limited"] += 1
    return PlainTextResponse("ok") if calls["limited"] <= 10 else PlainTextResponse("no", 429, {"Retry-After": "60"})


async def flaky(request: Request) -> Response:
    calls["flaky"] += 1
    return PlainTextResponse("no", 503) if calls["flaky"] % 5 == 0 else PlainTextResponse("ok")


async def hanging(request: Request) -> Response:
    await asyncio.sleep(60)
    return PlainTextResponse("at last")


app = Starlette(
    routes=[
        Route("/", page),
        Route("/api/items", items),
        Route("/api/slow", slow),
        Route("/api/broken", broken),
        Route("/api/hidden", hidden),
        Route("/moved", moved),
        Route("/away", away),
        Route("/limited", limited),
        Route("/flaky", flaky),
        Route("/hanging", hanging),
        Route("/health", health),
    ]
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", timeout_graceful_shutdown=1)
