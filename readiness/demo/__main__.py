"""python -m readiness.demo STAGE: prints the configuration as YAML and serves until Ctrl-C.

python -m readiness.demo production > readiness.yaml &
readiness audit -c readiness.yaml
"""

from __future__ import annotations

import signal
import sys
import threading

import yaml

from readiness.demo import STAGES, deployment
from readiness.errors import ReadinessError


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in STAGES:
        print(f"usage: python -m readiness.demo {'|'.join(STAGES)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with deployment(arguments[0]) as running:
            for sentence in running.missing:
                print(f"# {sentence}")
            print(yaml.safe_dump(running.config, sort_keys=False), flush=True)
            print(f"logs in {running.folder}; Ctrl-C stops everything", file=sys.stderr)
            threading.Event().wait()
    except KeyboardInterrupt:
        return 130
    except ReadinessError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
