"""python -m readiness.demo.service SETTINGS.json"""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import uvicorn

from readiness.demo.service import log
from readiness.demo.service.app import create
from readiness.demo.service.settings import Settings

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_DRAIN_SECONDS = 2


def main(path: Path) -> None:
    """Serves one instance until SIGTERM."""
    settings = Settings.model_validate_json(path.read_text())
    log.configure(settings.name, settings.instance)
    uvicorn.run(
        create(settings),
        host=settings.host,
        port=settings.port,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
        ssl_ciphers=_CIPHERS,
        log_config=None,
        access_log=False,
        server_header=settings.banner,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
