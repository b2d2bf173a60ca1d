"""The marketplace's data: the same every time, small enough to load in a second, large enough to need its indexes."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bson import ObjectId
    from pymongo import MongoClient

PRODUCTS = 3000
USERS = 2000
ARTISANS = 300
ORDERS = 4000
ACCOUNTS = 8
"""How many of the users have a password; the others came through somebody else's login."""

_CRAFTS = {
    "pottery": ("bowl", "mug", "vase", "plate", "teapot", "jug"),
    "weaving": ("scarf", "blanket", "rug", "shawl", "cushion", "runner"),
    "woodwork": ("spoon", "board", "stool", "box", "tray", "comb"),
    "leather": ("wallet", "belt", "satchel", "pouch", "notebook", "strap"),
    "jewellery": ("ring", "brooch", "pendant", "bracelet", "chain", "earring"),
    "glass": ("tumbler", "carafe", "bead", "lantern", "bottle", "dish"),
    "paper": ("card", "album", "lamp", "folder", "garland", "kite"),
    "metalwork": ("knife", "candlestick", "hook", "bell", "hinge", "pan"),
}
CATEGORIES = tuple(_CRAFTS)
_LOOKS = (
    "blue",
    "grey",
    "green",
    "amber",
    "speckled",
    "plain",
    "carved",
    "woven",
    "hammered",
    "glazed",
    "oiled",
    "red",
)
_SIZES = ("small", "large", "slim", "round", "tall", "flat", "deep", "light", "heavy", "folding")
_PLACES = ("Aalborg", "Bergamo", "Cork", "Delft", "Évora", "Freiburg", "Girona", "Haarlem", "Innsbruck", "Jaén")
_FIRST = ("Ada", "Bo", "Carla", "Dov", "Elif", "Finn", "Greta", "Hugo", "Ines", "Jun", "Kaya", "Luca", "Mina", "Noor")
_LAST = ("Alder", "Brandt", "Costa", "Dahl", "Ekman", "Ferrari", "García", "Hansen", "Ilves", "Jansen", "Keller")
_START = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What traffic needs to know: ids by falling popularity, words to search for, accounts to log in with."""

    products: tuple[str, ...]
    users: tuple[str, ...]
    artisans: tuple[str, ...]
    words: tuple[str, ...]
    accounts: tuple[tuple[str, str], ...]


def load(
    client: MongoClient[dict[str, Any]],
    database: str,
    password: str,
    orders_index: Sequence[str],
    leftovers: Mapping[str, str],
) -> Catalogue:
    """Creates indexes and documents. `password` is the one of all accounts."""
    from pymongo import ASCENDING, DESCENDING, IndexModel

    up, down = ASCENDING, DESCENDING
    indexes = {
        "products": [
            IndexModel([("sold", down)]),
            IndexModel([("category", up), ("sold", down)]),
            IndexModel([("artisan_id", up), ("sold", down)]),
            IndexModel([("terms", up), ("sold", down)]),
        ],
        "users": [IndexModel([("email", up)], unique=True), IndexModel([("last_seen", down)])],
        "artisans": [IndexModel([("rating", down)]), IndexModel([("craft", up), ("rating", down)])],
        "orders": [IndexModel([(name, down if name == "created_at" else up) for name in orders_index])],
    }
    for name, unneeded in leftovers.items():
        indexes[name].append(IndexModel([(unneeded, up)]))
    documents = _documents(password)
    target = client[database]
    for name, models in indexes.items():
        # Before the documents: building on an empty collection does not wait for the secondaries.
        target[name].create_indexes(models)
        target[name].insert_many(documents[name], ordered=False)
    return _catalogue(documents, password)


def _documents(password: str) -> dict[str, list[dict[str, Any]]]:
    chance = random.Random(1)
    artisans = [_artisan(chance) for _ in range(ARTISANS)]
    products = [_product(chance, chance.choice(artisans), rank) for rank in range(PRODUCTS)]
    users = [_user(chance, number, password) for number in range(USERS)]
    buyers = users[:ACCOUNTS] * 40 + users
    orders = [_order(chance, chance.choice(buyers), chance.choice(products)) for _ in range(ORDERS)]
    return {"artisans": artisans, "products": products, "users": users, "orders": orders}


def _catalogue(documents: dict[str, list[dict[str, Any]]], password: str) -> Catalogue:
    def ids(name: str, order: str) -> tuple[str, ...]:
        return tuple(str(d["_id"]) for d in sorted(documents[name], key=lambda d: d[order], reverse=True))

    return Catalogue(
        products=ids("products", "sold"),
        users=ids("users", "last_seen"),
        artisans=ids("artisans", "rating"),
        words=tuple(sorted({word for things in _CRAFTS.values() for word in things})),
        accounts=tuple((user["email"], password) for user in documents["users"][:ACCOUNTS]),
    )


def _id(chance: random.Random) -> ObjectId:
    from bson import ObjectId

    return ObjectId(chance.randbytes(12))


def _artisan(chance: random.Random) -> dict[str, Any]:
    name, craft, place = (
        f"{chance.choice(_FIRST)} {chance.choice(_LAST)}",
        chance.choice(CATEGORIES),
        chance.choice(_PLACES),
    )
    return {
        "_id": _id(chance),
        "name": name,
        "craft": craft,
        "city": place,
        "rating": round(chance.uniform(3, 5), 3),
        "bio": f"{name} learned {craft} in {place} and works there alone, to order, with materials from the region. "
        "Repairs are free for as long as the workshop exists.",
    }


def _product(chance: random.Random, artisan: dict[str, Any], rank: int) -> dict[str, Any]:
    thing = chance.choice(_CRAFTS[artisan["craft"]])
    look, size = chance.choice(_LOOKS), chance.choice(_SIZES)
    return {
        "_id": _id(chance),
        "name": f"{size.capitalize()} {look} {thing}",
        "summary": f"A {size}, {look} {thing}, made by {artisan['name']} in {artisan['city']}.",
        "description": f"Every {thing} takes two days and is signed. Small differences in colour and shape are part of "
        f"it: no two are alike. Made in {artisan['city']}, packed in paper, sent without plastic. Wipe it with a damp "
        "cloth and keep it out of the dishwasher; if it breaks within two years, send it back and it is repaired.",
        "category": artisan["craft"],
        "terms": sorted({size, look, thing, artisan["craft"]}),
        "price_cents": chance.randrange(900, 24_000, 50),
        "stock": chance.randrange(2_000, 5_000),
        # A few sell a lot, most sell little.
        "sold": 20_000 // (rank + 1) + chance.randrange(3),
        "artisan_id": artisan["_id"],
        "created_at": _START + timedelta(hours=rank),
    }


def _user(chance: random.Random, number: int, password: str) -> dict[str, Any]:
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    user: dict[str, Any] = {
        "_id": _id(chance),
        "name": f"{first} {last}",
        "email": f"customer{number}@market.example",
        "city": chance.choice(_PLACES),
        "joined_at": _START + timedelta(minutes=13 * number),
        "last_seen": _START + timedelta(days=300, minutes=-number),
    }
    if number < ACCOUNTS:
        from readiness.demo.service.auth import hash_password

        user["password"] = hash_password(password)
    return user


def _order(chance: random.Random, user: dict[str, Any], product: dict[str, Any]) -> dict[str, Any]:
    quantity = chance.choice((1, 1, 1, 2, 3))
    return {
        "_id": _id(chance),
        "user_id": user["_id"],
        "product_id": product["_id"],
        "quantity": quantity,
        "note": "",
        "total_cents": quantity * product["price_cents"],
        "payment": chance.randbytes(12).hex(),
        "status": chance.choice(("paid", "sent", "sent", "sent")),
        "created_at": _START + timedelta(days=chance.uniform(1, 300)),
    }
