"""What is declared instead of measured, told apart from it in every finding."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from readiness.api import Attestation, AttestationSettings, Finding, failed, passed, untested


def attested(settings: AttestationSettings, name: str, now: Callable[[], dt.datetime]) -> Finding:
    """The finding for the attestation of that name: pass until it expires, fail after it, untested without one.

    Only a declaration needs to know the time, which a system that could not be reached does not tell.
    """
    attestation: Attestation | None = getattr(settings, name)
    if attestation is None:
        return untested(f"cannot be seen from outside; attest it under attestations.{name}")
    if settings.measured_only:
        return untested(f"attestations.{name} is only declared, and the run counts what is measured")
    owner, expires = attestation.owner[:30], attestation.expires.isoformat()
    evidence = {"declared": True, **attestation.model_dump(mode="json")}
    observed = f"declared by {owner}, valid until {expires}: {attestation.evidence[:200]}"
    expected = "a statement with evidence and owner that has not expired"
    statement = " ".join(attestation.statement.split())
    if now().astimezone(dt.UTC).date() > attestation.expires:
        return failed(
            f"declared until {expires} by {owner}, and not renewed: {statement[:60]}",
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
    return passed(
        f"declared: {statement[:70]} ({owner}, until {expires})",
        observed=observed,
        expected=expected,
        evidence=evidence,
    )
