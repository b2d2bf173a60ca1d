"""The marketplace's data in MongoDB: every query of the service, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from bson.errors import InvalidId
from pymongo import AsyncMongoClient, ReadPreference, ReturnDocument
from pymongo.monitoring import _EventListener

from readiness.demo.service.errors import Unavailable
from readiness.demo.service.settings import Settings

Document = dict[str, Any]

_CLOSE_SECONDS = 2.0
_CARD = {"name": 1, "category": 1, "price_cents": 1, "stock": 1, "artisan_id": 1, "summary": 1}


class Database:
    """The queries. Without a configured MongoDB every one of them raises `Unavailable` at once."""

    def __init__(self, settings: Settings, listeners: Sequence[_EventListener] = ()) -> None:
        self._client: AsyncMongoClient[Document] | None = None
        self._name = settings.database
        if settings.database_uri is not None:
            # Pool sizes, time-outs, preferences: all of it is in the URI.
            self._client = AsyncMongoClient(
                settings.database_uri.get_secret_value(), event_listeners=list(listeners), tz_aware=True
            )

    async def start(self) -> None:
        """Connects, so that a wrong address or account shows now and not with the first request."""
        if self._client is not None:
            await self._client.aconnect()
            await self.ping()

    async def stop(self) -> None:
        # Saying goodbye to a server that is gone would take as long as finding one.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                if self._client is not None:
                    await self._client.close()

    async def ping(self) -> None:
        """Asks the primary. Raises what the driver raises, or `Unavailable`."""
        await self._connected().admin.command("ping")

    def _connected(self) -> AsyncMongoClient[Document]:
        if self._client is None:
            raise Unavailable("no database is configured")
        return self._client

    def _collection(self, name: str) -> Any:
        return self._connected()[self._name][name]

    @property
    def _orders(self) -> Any:
        # A customer must see the order just placed, which a secondary may not have yet.
        return self._collection("orders").with_options(read_preference=ReadPreference.PRIMARY)

    async def products(
        self, *, category: str | None, artisan: str | None, words: Sequence[str], skip: int, limit: int
    ) -> list[Document]:
        """Products by popularity; each given filter narrows."""
        query: Document = {}
        if category:
            query["category"] = category
        if artisan and (id := _id(artisan)):
            query["artisan_id"] = id
        if words:
            query["terms"] = {"$all": list(words)} if len(words) > 1 else words[0]
        cursor = self._collection("products").find(query, _CARD).sort("sold", -1).skip(skip).limit(limit)
        return [public(document) async for document in cursor]

    async def product(self, id: str) -> Document | None:
        return await self._one("products", id, {"terms": 0})

    async def artisans(self, *, craft: str | None, skip: int, limit: int) -> list[Document]:
        query = {"craft": craft} if craft else {}
        cursor = self._collection("artisans").find(query, {"bio": 0}).sort("rating", -1).skip(skip).limit(limit)
        return [public(document) async for document in cursor]

    async def artisan(self, id: str) -> Document | None:
        return await self._one("artisans", id)

    async def user(self, id: str) -> Document | None:
        """The public profile: no address, no password."""
        return await self._one("users", id, {"name": 1, "city": 1, "joined_at": 1})

    async def account(self, email: str) -> Document | None:
        """`id` and `password` of the account with that address."""
        found = await self._collection("users").find_one({"email": email}, {"password": 1})
        return public(found) if found else None

    async def orders(self, user: str, limit: int) -> list[Document]:
        """The user's orders, the latest first."""
        cursor = self._orders.find({"user_id": _id(user)}).sort("created_at", -1).limit(limit)
        return [public(document) async for document in cursor]

    async def order(self, user: str, id: str) -> Document | None:
        found = await self._orders.find_one({"_id": _id(id), "user_id": _id(user)})
        return public(found) if found else None

    async def reserve(self, product: str, quantity: int) -> Document | None:
        """Takes the quantity off the stock and returns the product, or None where there is not enough."""
        found = await self._collection("products").find_one_and_update(
            {"_id": _id(product), "stock": {"$gte": quantity}},
            {"$inc": {"stock": -quantity, "sold": quantity}},
            projection=_CARD,
            return_document=ReturnDocument.AFTER,
        )
        return public(found) if found else None

    async def release(self, product: str, quantity: int) -> None:
        """Gives a reservation back."""
        await self._collection("products").update_one(
            {"_id": _id(product)}, {"$inc": {"stock": quantity, "sold": -quantity}}
        )

    async def add_order(self, order: Mapping[str, Any]) -> Document:
        document = {
            **order,
            "user_id": _id(order["user_id"]),
            "product_id": _id(order["product_id"]),
            "created_at": datetime.now(UTC),
        }
        await self._orders.insert_one(document)
        return public(document)

    async def popular(self, kind: str, count: int) -> list[Document]:
        """What is asked for most: the best-selling products, the best-rated artisans, the users seen last."""
        fields = {
            "product": ("products", "sold", {"terms": 0}),
            "artisan": ("artisans", "rating", None),
            "user": ("users", "last_seen", {"name": 1, "city": 1, "joined_at": 1}),
        }
        collection, order, projection = fields[kind]
        cursor = self._collection(collection).find({}, projection).sort(order, -1).limit(count)
        return [public(document) async for document in cursor]

    async def _one(self, collection: str, id: str, projection: Document | None = None) -> Document | None:
        key = _id(id)
        found = await self._collection(collection).find_one({"_id": key}, projection) if key else None
        return public(found) if found else None


def public(document: Mapping[str, Any]) -> Document:
    """The document as JSON data: `_id` becomes `id`, ids and times become text."""
    return {("id" if key == "_id" else key): _plain(value) for key, value in document.items()}


def _plain(value: Any) -> Any:
    match value:
        case ObjectId():
            return str(value)
        case datetime():
            return value.isoformat(timespec="seconds")
        case _:
            return value


def _id(text: str) -> ObjectId | None:
    try:
        return ObjectId(text)
    except InvalidId:
        return None
