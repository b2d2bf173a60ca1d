"""A small shop that caches: `python cache_app.py PORT`, in its own memory, or in Redis where REDIS_URL is set."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TALKS = "TALKS" in os.environ  # whether /health tells what holds the cache


class InMemory:
    def __init__(self) -> None:
        self._entries: dict[str, tuple[float, str]] = {}

    async def get(self, key: str) -> str | None:
        expires, value = self._entries.get(key, (0.0, ""))
        return value if expires > time.monotonic() else None

    async def set(self, key: str, value: str, seconds: int) -> None:
        self._entries[key] = (time.monotonic() + seconds, value)


class InRedis:
    def __init__(self, url: str) -> None:
        from redis.asyncio import Redis

        self._redis = Redis.from_url(url, decode_responses=True, protocol=2, driver_info=None)

    async def get(self, key: str) -> str | None:
        value: str | None = await self._redis.get(key)
        return value

    async def set(self, key: str, value: str, seconds: int) -> None:
        await self._redis.set(key, value, ex=seconds)


url = os.environ.get("REDIS_URL", "")
cache: InMemory | InRedis = InRedis(url) if url else InMemory()


async def listing(request: Request) -> Response:
    name = request.path_params["name"]
    found = await cache.get(f"{name}:all")
    if found is None:
        found = json.dumps([{"id": number, "kind": name} for number in range(20)])
        await cache.set(f"{name}:all", found, 300)
    return Response(found, media_type="application/json")


async def uncached(request: Request) -> Response:
    return JSONResponse({"shop": "artisans"})


async def health(request: Request) -> Response:
    told: Mapping[str, object] = {"cache": {"type": "memory", "hits": 3, "misses": 1}} if TALKS else {}
    return JSONResponse({"status": "ok", **told})


app = Starlette(routes=[Route("/", uncached), Route("/health", health), Route("/api/{name}", listing)])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", timeout_graceful_shutdown=1)
