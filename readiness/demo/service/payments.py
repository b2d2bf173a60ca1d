"""The client of the payment provider."""

from __future__ import annotations

import httpx

from readiness.demo.service.errors import Unavailable

_TIMEOUT_SECONDS = 2.0


class Payments:
    """Charges customers. Every call is bounded by a time-out, and a provider that is away raises `Unavailable`."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_SECONDS, trust_env=False)

    async def charge(self, reference: str, cents: int) -> str | None:
        """The id of the payment, or None where it was declined."""
        try:
            answer = await self._client.post("/charges", json={"reference": reference, "amount_cents": cents})
        except httpx.HTTPError:
            raise Unavailable("the payment provider does not answer") from None
        if answer.status_code == 402:
            return None
        if answer.status_code != 201:
            raise Unavailable(f"the payment provider answered {answer.status_code}")
        return str(answer.json()["id"])

    async def ping(self) -> None:
        """Raises where the provider does not answer."""
        (await self._client.get("/health")).raise_for_status()

    async def stop(self) -> None:
        await self._client.aclose()
