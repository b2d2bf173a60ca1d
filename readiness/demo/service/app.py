"""The ASGI application: routes, the layers around them, and their life."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from readiness.demo.service import health, shop
from readiness.demo.service.errors import HANDLERS
from readiness.demo.service.layers import FixedHeaders, Revalidation, SizeLimits
from readiness.demo.service.limits import RateLimit
from readiness.demo.service.market import Market, build
from readiness.demo.service.settings import Settings
from readiness.demo.service.telemetry import Telemetry

_COMPRESS_BYTES = 1000
_CONTACT_DAYS = 180


def create(settings: Settings) -> ASGIApp:
    """The whole service, from the outermost layer in."""
    market = build(settings)
    routes = _routes(market)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            await market.start()
            yield
        finally:
            await market.stop()

    inner = Starlette(routes=routes, exception_handlers=HANDLERS, lifespan=lifespan)
    inner.router.redirect_slashes = False
    inner.state.market = market
    app: ASGIApp = RateLimit(
        inner, market.limiter, settings.rate_limit, market.tokens if settings.limit_by_user else None
    )
    app = SizeLimits(app, settings.max_url, settings.max_headers)
    if settings.revalidate:
        app = Revalidation(app)
    if settings.compress:
        app = GZipMiddleware(app, minimum_size=_COMPRESS_BYTES, compresslevel=5)
    app = FixedHeaders(app, _headers(settings))
    templates = {route.endpoint: route.path for route in routes}
    return Telemetry(app, templates, market.metrics, tracing=settings.tracing)


def _headers(settings: Settings) -> dict[str, str]:
    """The header fields of every answer."""
    dropped = {name.lower() for name in settings.drop_headers}
    instance = {"X-Instance-Id": settings.instance} if settings.name_instance else {}
    return {name: value for name, value in (settings.headers | instance).items() if name.lower() not in dropped}


def _routes(market: Market) -> list[Route]:
    routes = [
        Route("/", shop.front),
        Route("/static/{name}", shop.asset),
        Route("/api/products", shop.products),
        Route("/api/products/{id}", shop.product),
        Route("/api/artisans", shop.artisans),
        Route("/api/artisans/{id}", shop.artisan),
        Route("/api/users/{id}", shop.user),
        Route("/api/login", shop.login, methods=["POST"]),
        Route("/api/orders", shop.orders, methods=["GET", "POST"]),
        Route("/api/orders/{id}", shop.order),
        *_health_routes(market),
    ]
    if market.settings.security_contact:
        routes.append(Route("/.well-known/security.txt", _security_contact(market.settings.security_contact)))
    return routes


def _health_routes(market: Market) -> list[Route]:
    began = time.monotonic()
    fresh = {"Cache-Control": "no-store"}

    async def simple(request: Request) -> Response:
        good, answer = await health.report({"database": market.dependencies["database"]})
        process = {"pid": os.getpid(), "uptime": round(time.monotonic() - began, 1)}
        answer |= process | {"cache": market.cache.statistics()}
        return JSONResponse(answer, 200 if good else 503, headers=fresh)

    async def live(request: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=fresh)

    async def ready(request: Request) -> Response:
        good, answer = await health.report(market.dependencies)
        retry = {} if good else {"Retry-After": "5"}
        return JSONResponse(answer, 200 if good else 503, headers={**fresh, **retry})

    if not market.settings.detailed_health:
        return [Route("/health/live", live), Route("/health/ready", simple), Route("/health", simple)]
    return [Route("/health/live", live), Route("/health/ready", ready), Route("/health", ready)]


def _security_contact(contact: str) -> Callable[[Request], Awaitable[Response]]:
    expires = datetime.now(UTC) + timedelta(days=_CONTACT_DAYS)
    text = f"Contact: {contact}\nExpires: {expires:%Y-%m-%dT%H:%M:%SZ}\nPreferred-Languages: en\n"

    async def endpoint(request: Request) -> Response:
        return PlainTextResponse(text)

    return endpoint
