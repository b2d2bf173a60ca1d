"""A certificate authority made for one deployment, and a certificate for its servers on loopback."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

_VALID_DAYS = 90


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: the authority to trust, the servers' chain, their key, and both together as mongod wants them."""

    authority: Path
    chain: Path
    key: Path
    bundle: Path


def issue(folder: Path) -> Certificates:
    """Makes an authority that nobody else knows, and one certificate for 127.0.0.1 and localhost."""
    import trustme

    now = datetime.now(UTC).replace(tzinfo=None)
    authority = trustme.CA(organization_name="readiness demo")
    leaf = authority.issue_cert(
        "127.0.0.1", "localhost", not_before=now - timedelta(hours=1), not_after=now + timedelta(days=_VALID_DAYS)
    )
    files = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key", folder / "mongod.pem")
    authority.cert_pem.write_to_path(str(files.authority))
    files.chain.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    for path in (files.key, files.bundle):
        path.touch(0o600)
    leaf.private_key_pem.write_to_path(str(files.key))
    leaf.private_key_and_cert_chain_pem.write_to_path(str(files.bundle))
    return files
