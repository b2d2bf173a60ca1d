"""Bytes on the wire."""

from __future__ import annotations

from dataclasses import replace

from readiness.api import Finding, check, failed, not_applicable, passed, scaled, warn, worst
from readiness.facts.delivery import DeliveryFacts, Payload, Reply

from . import _fixes
from ._delivery import nothing, place, successful
from ._endpoints import name

KIB = 1024

_OFFER = "curl -s -o /dev/null -D - -H 'Accept-Encoding: br, gzip, zstd' $URL | grep -i 'content-encoding\\|vary'"


@check(
    id="performance.compression",
    component="performance",
    severity="medium",
    effort="minutes",
    fixes=_fixes.COMPRESSION,
    verify=_OFFER,
    reference="https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3",
)
def compression(delivery: DeliveryFacts, *, least_saving: float = 0.10, large: int = 10 * KIB) -> Finding:
    """Text is sent compressed.

    The page, its first script and style sheet, and the first endpoints were asked for as they are and with br, gzip and
    zstd on offer. Answers below 1400 bytes fit into one packet and are left alone, as Lighthouse does. Without
    Vary: Accept-Encoding a shared cache may hand the compressed form to a client that cannot read it.
    """
    findings: dict[str, Finding] = {}
    answered = successful(delivery)
    for resource in answered:
        if (compressed := resource.compressed) is not None:
            verdict = _judge(resource.plain, compressed, least_saving, large)
            findings[name(resource.path)] = replace(verdict, verify=_OFFER.replace("$URL", place(delivery, resource)))
    if findings:
        return worst(findings, what="text answers")
    if not answered:
        return nothing(delivery)
    largest = max(resource.plain.size for resource in answered)
    return not_applicable("no text answer is large enough for compression to pay", largest_bytes=largest)


def _judge(plain: Reply, compressed: Reply, least_saving: float, large: int) -> Finding:
    encoding = compressed.header("content-encoding").strip().lower()
    expected = "br, gzip or zstd, with Vary: Accept-Encoding"
    before, after = plain.size, compressed.size
    if encoding in ("", "identity"):
        verdict = failed if before > large else warn
        return verdict(f"{before:,} bytes are sent uncompressed", observed="uncompressed", expected=expected)
    saving = 1 - after / before
    if saving < least_saving:
        message = f"{encoding} saves {100 * saving:.0f} % of {before:,} bytes"
        return warn(message, observed=f"{100 * saving:.0f} % saved", expected=expected)
    vary = {part.strip().lower() for part in compressed.header("vary").split(",")}
    if not vary & {"accept-encoding", "*"}:
        message = f"{encoding} without Vary: Accept-Encoding"
        return warn(message, observed=f"{encoding}, no Vary", expected=expected)
    return passed(f"{encoding}: {before:,} bytes become {after:,}", observed=encoding, expected=expected)


@check(
    id="performance.payload",
    component="performance",
    severity="low",
    effort="hours",
    fix="Page lists with ?limit= and a cursor and a default limit; return only the fields that the client shows",
    fixes=_fixes.PAYLOAD,
    verify="curl -s $URL | wc -c",
    reference="https://google.aip.dev/158",
)
def payload(
    delivery: DeliveryFacts, *, good_kib: float = 100, bad_kib: float = 1024, most_items: int = 1000
) -> Finding:
    """Answers are not huge, and lists come in pages.

    Bytes of the uncompressed answer: full credit to 100 KiB, none from 1 MiB. A JSON list of more than 1000 entries
    without any sign of paging grows with the data until it takes the service down.
    """
    findings = {name(each.path): _size(each, good_kib, bad_kib, most_items) for each in delivery.payloads}
    return worst(findings, what="answers") if findings else nothing(delivery)


def _size(payload: Payload, good: float, bad: float, most_items: int) -> Finding:
    kib = payload.size / KIB
    items = payload.__dict__.get("items")
    finding = scaled(kib, good=good, bad=bad, what="answer", unit="KiB")
    if isinstance(items, int) and items > most_items and not payload.paged and kib <= good:
        message = f"a list of {items:,} entries without paging"
        return warn(message, observed=f"{items:,} entries", expected=f"pages of at most {most_items:,}")
    return finding
