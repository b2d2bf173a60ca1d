"""The front page and its assets, read once at start-up."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_ENTRY = Template('    <li><h3>$name</h3><p>$summary</p><p class="price">€$price</p></li>')


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    media_type: str
    cache_control: str | None


class Pages:
    """With `hashed`, the content's hash is part of an asset's name, and browsers keep it for a year unasked.

    Without, assets go out as most frameworks send them: with no word on how long they may be kept.
    """

    def __init__(self, *, hashed: bool) -> None:
        self.assets: dict[str, Asset] = {}
        addresses = {}
        for path in sorted(_FOLDER.iterdir()):
            if path.suffix in _TYPES:
                content = path.read_bytes()
                digest = hashlib.sha256(content).hexdigest()[:16]
                name = f"{path.stem}.{digest}{path.suffix}" if hashed else path.name
                keep = "public, max-age=31536000, immutable" if hashed else None
                self.assets[name] = Asset(content, _TYPES[path.suffix], keep)
                addresses[path.suffix.removeprefix(".")] = f"/static/{name}"
        self._front = Template(Template((_FOLDER / "index.html").read_text("utf-8")).safe_substitute(addresses))

    def front(self, products: Iterable[Mapping[str, Any]]) -> str:
        """The front page with those products on it."""
        entries = [
            _ENTRY.substitute(
                name=html.escape(product["name"]),
                summary=html.escape(product["summary"]),
                price=f"{product['price_cents'] / 100:.2f}",
            )
            for product in products
        ]
        return self._front.substitute(products="\n".join(entries))
