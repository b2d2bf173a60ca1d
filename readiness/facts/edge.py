"""Which cache answered, by the headers that it leaves."""

from __future__ import annotations

import re
from collections.abc import Mapping

from readiness.facts.delivery import Reply

# Header -> product. A header that several products set is not here.
PRODUCTS: Mapping[str, str] = {
    "cf-cache-status": "Cloudflare",
    "cf-ray": "Cloudflare",
    "x-amz-cf-id": "CloudFront",
    "x-amz-cf-pop": "CloudFront",
    "x-fastly-request-id": "Fastly",
    "x-azure-ref": "Azure Front Door",
    "x-vercel-cache": "Vercel",
    "x-vercel-id": "Vercel",
    "x-nf-request-id": "Netlify",
    "akamai-grn": "Akamai",
    "akamai-cache-status": "Akamai",
    "x-akamai-request-id": "Akamai",
    "cdn-pullzone": "bunny.net",
    "fly-request-id": "Fly.io",
}
SHARED = ("cache-status", "x-cache", "x-cache-status", "x-proxy-cache", "x-varnish", "cdn-cache", "x-cdn", "age", "via")
_HIT = re.compile(r"(?<![a-z])(hit|stale|revalidated|updating|prerender)(?![a-z])")


def product(reply: Reply) -> str:
    """The product that left its name, `a shared cache (header)` for marks that many set, or nothing."""
    for header, known in PRODUCTS.items():
        if reply.header(header):
            return known
    if reply.header("x-served-by").startswith("cache-"):
        return "Fastly"
    if "cdn-cache" in reply.header("server-timing").lower():
        return "a CDN (Server-Timing)"
    header = next((each for each in SHARED if reply.header(each)), "")
    return f"a shared cache ({header})" if header else ""


def hit(reply: Reply) -> bool:
    """Whether a cache had the answer."""
    if reply.header("age").isdecimal() and int(reply.header("age")[:12]) > 0:
        return True
    marks = ("cf-cache-status", "x-cache", "x-cache-status", "x-proxy-cache", "x-vercel-cache", "cdn-cache",
             "akamai-cache-status", "cache-status")  # fmt: skip
    timing = re.search(r"cdn-cache\s*;\s*desc=\"?(\w+)", reply.header("server-timing").lower())
    values = [reply.header(mark).lower() for mark in marks] + ([timing[1]] if timing else [])
    return any(_HIT.search(value) for value in values)
