"""How the service delivers: compression, validators, static assets, caches in front of it, instances behind it."""

from __future__ import annotations

from readiness.facts.base import ABSENT, Fact, Facts


class Reply(Facts):
    """One GET and its answer without the body.

    `sent` are the headers beyond the configured ones. `headers` are those that say something of delivery, with names in
    lower case and repeated ones joined by commas. `size` counts the bytes of the body as they came over the wire, up to
    the configured limit.
    """

    path: str
    sent: dict[str, str] = {}
    status: int
    headers: dict[str, str] = {}
    size: int = 0

    def header(self, name: str) -> str:
        """The header of that name in lower case, or nothing."""
        return self.headers.get(name, "")

    @property
    def media_type(self) -> str:
        return self.header("content-type").partition(";")[0].strip().lower()

    @property
    def directives(self) -> dict[str, str]:
        """Cache-Control in lower case: directive -> value, empty where it has none."""
        parts = (part.strip().partition("=") for part in self.header("cache-control").lower().split(","))
        return {name.strip(): value.strip().strip('"') for name, _, value in parts if name}


class Resource(Facts):
    """Something that was asked for: `kind` is page, asset or endpoint.

    `plain` was asked for uncompressed, and is absent unless the status was 200. `compressed` offered br, gzip and zstd,
    and is None where the plain answer was no text, or so small that compression does not pay. `revalidated` repeated
    the plain request with If-None-Match or If-Modified-Since, and is None where there was no validator. Either is also
    None beyond the first few resources. `hashed` says that the name of an asset carries a hash of its content.
    """

    kind: str
    path: str
    status: Fact[int] = ABSENT
    plain: Fact[Reply] = ABSENT
    compressed: Fact[Reply | None] = None
    revalidated: Fact[Reply | None] = None
    hashed: bool = False


class Payload(Facts):
    """An uncompressed answer: its size in bytes, and for JSON how long its longest list is.

    `paged` says that the answer has marks of paging: a cursor, a total, a next link.
    """

    path: str
    size: int
    items: Fact[int] = ABSENT
    paged: bool = False


class DeliveryFacts(Facts):
    """One service.

    `page` says that the base URL answered with HTML, and is absent where it gave a server error; `media_type` is what
    it answered with. `assets` counts the scripts, styles and images that the page names on its own origin, `foreign`
    those on other hosts. `repeated` is the second answer of the first asset, or else of an endpoint or the page.
    `instances` gives, by where it was seen (a header, `cookie NAME`, `health NAME`), the different names under which
    the `answers` answers on connections of their own came; those of cookies are digests. `balancers` are signs of a
    balancer, `addresses` counts the service's addresses of one family.
    `alpn` is the protocol chosen when h2 and http/1.1 were offered, empty where TLS chose none.
    """

    url: str
    page: Fact[bool] = ABSENT
    media_type: str = ""
    resources: tuple[Resource, ...] = ()
    assets: int = 0
    foreign: dict[str, int] = {}
    repeated: Fact[Reply] = ABSENT
    payloads: tuple[Payload, ...] = ()
    answers: int = 0
    instances: dict[str, tuple[str, ...]] = {}
    balancers: tuple[str, ...] = ()
    addresses: Fact[int] = ABSENT
    alpn: Fact[str] = ABSENT
    requests: int = 0

    @property
    def https(self) -> bool:
        return self.url.startswith("https://")

    def of(self, kind: str) -> tuple[Resource, ...]:
        """The resources of one kind."""
        return tuple(resource for resource in self.resources if resource.kind == kind)
