"""The marketplace's endpoints."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from readiness.demo.service import inputs
from readiness.demo.service.auth import password_matches
from readiness.demo.service.cache import aside
from readiness.demo.service.errors import Unavailable, error
from readiness.demo.service.limits import address
from readiness.demo.service.market import Market

_FRONT_PRODUCTS = 12
_ORDERS = 20
# Anybody may read the catalogue, but should ask whether it changed; what belongs to a user is kept nowhere.
_CATALOGUE = {"Cache-Control": "no-cache"}
_PRIVATE = {"Cache-Control": "no-store"}


def _market(request: Request) -> Market:
    return cast(Market, request.app.state.market)


async def front(request: Request) -> Response:
    market = _market(request)
    products = await aside(
        market.cache,
        "products:front",
        lambda: market.database.products(category=None, artisan=None, words=(), skip=0, limit=_FRONT_PRODUCTS),
        market.settings.list_seconds,
    )
    return HTMLResponse(market.pages.front(products), headers=_CATALOGUE)


async def asset(request: Request) -> Response:
    found = _market(request).pages.assets.get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    headers = {"Cache-Control": found.cache_control} if found.cache_control else None
    return Response(found.content, media_type=found.media_type, headers=headers)


async def products(request: Request) -> Response:
    market, query = _market(request), inputs.query(request, inputs.ProductQuery)
    words = query.q.lower().split()[:5]
    size = _size(market, query.limit)

    async def load() -> list[dict[str, Any]]:
        return await market.database.products(
            category=query.category or None,
            artisan=query.artisan,
            words=words,
            skip=(query.page - 1) * size,
            limit=size + 1,
        )

    # Free text has too many values to be worth keeping.
    key = f"products:{query.category}:{query.artisan or ''}:{query.page}:{size}"
    found = await load() if words else await aside(market.cache, key, load, market.settings.list_seconds)
    return _listing(request, found, query, size, {"query": query.q} if query.q else {})


async def product(request: Request) -> Response:
    return await _single(request, "product")


async def artisans(request: Request) -> Response:
    market, query = _market(request), inputs.query(request, inputs.ArtisanQuery)
    size = _size(market, query.limit)
    found = await aside(
        market.cache,
        f"artisans:{query.craft}:{query.page}:{size}",
        lambda: market.database.artisans(craft=query.craft or None, skip=(query.page - 1) * size, limit=size + 1),
        market.settings.list_seconds,
    )
    return _listing(request, found, query, size, {})


async def artisan(request: Request) -> Response:
    return await _single(request, "artisan")


async def user(request: Request) -> Response:
    return await _single(request, "user")


async def login(request: Request) -> Response:
    market = _market(request)
    quota = await market.limiter.take("login", address(request), market.settings.login_limit)
    if quota.refused:
        return error(429, headers=quota.headers)
    given = await inputs.body(request, inputs.Login)
    account = await market.database.account(given.email.lower())
    stored = (account or {}).get("password") or ""
    # In a thread: checking a password is slow on purpose.
    if not await asyncio.to_thread(password_matches, given.password.get_secret_value(), stored) or account is None:
        raise HTTPException(401, "The address or the password is wrong.", headers={"WWW-Authenticate": "Bearer"})
    token = market.tokens.issue(account["id"])
    answer = {"token": token, "tokenType": "Bearer", "expiresIn": int(market.tokens.seconds)}
    return JSONResponse(answer, headers={**_PRIVATE, **quota.headers})


async def orders(request: Request) -> Response:
    market = _market(request)
    user = market.tokens.required(request)
    if request.method == "POST":
        return await _place_order(request, user)
    return JSONResponse({"items": await market.database.orders(user, _ORDERS)}, headers=_PRIVATE)


async def order(request: Request) -> Response:
    market = _market(request)
    user = market.tokens.required(request)
    found = await market.database.order(user, request.path_params["id"])
    if found is None:
        raise HTTPException(404)
    return JSONResponse(found, headers=_PRIVATE)


async def _place_order(request: Request, user: str) -> Response:
    market, new = _market(request), await inputs.body(request, inputs.NewOrder)
    product = await market.database.reserve(new.product_id, new.quantity)
    if product is None:
        raise HTTPException(409, "There is not enough of this product.")
    await market.cache.delete(f"product:{new.product_id}")
    total = product["price_cents"] * new.quantity
    try:
        payment = await market.payments.charge(f"{user}:{new.product_id}", total)
    except Unavailable:
        await market.database.release(new.product_id, new.quantity)
        raise
    if payment is None:
        await market.database.release(new.product_id, new.quantity)
        raise HTTPException(402)
    placed = await market.database.add_order(
        {
            "user_id": user,
            "product_id": new.product_id,
            "quantity": new.quantity,
            "note": new.note,
            "total_cents": total,
            "payment": payment,
            "status": "paid",
        }
    )
    return JSONResponse(placed, 201, headers={**_PRIVATE, "Location": f"/api/orders/{placed['id']}"})


async def _single(request: Request, kind: str) -> Response:
    """One product, artisan or user, from the cache where it is there."""
    market, id = _market(request), request.path_params["id"]
    load = {"product": market.database.product, "artisan": market.database.artisan, "user": market.database.user}[kind]
    found = await aside(market.cache, f"{kind}:{id}", lambda: load(id))
    if found is None:
        raise HTTPException(404)
    return JSONResponse(found, headers=_CATALOGUE)


def _size(market: Market, asked: int | None) -> int:
    return min(asked or market.settings.page_size, market.settings.page_limit)


def _listing(
    request: Request, found: list[dict[str, Any]], query: inputs.Page, size: int, more: dict[str, Any]
) -> Response:
    """A page of a list. One element more than fits was loaded, to know whether there is a next page."""
    answer: dict[str, Any] = {"items": found[:size], **more}
    headers = dict(_CATALOGUE)
    if _market(request).settings.paginate:
        pages = {"prev": query.page - 1, "next": query.page + 1 if len(found) > size else 0}
        links = [
            f'<{request.url.path}?{request.url.include_query_params(page=page).query}>; rel="{name}"'
            for name, page in pages.items()
            if page
        ]
        answer |= {"page": query.page, "limit": size, "hasMore": len(found) > size}
        if links:
            headers["Link"] = ", ".join(links)
    return JSONResponse(answer, headers=headers)
