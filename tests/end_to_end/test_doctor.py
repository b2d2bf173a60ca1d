"""The doctor against real servers: what it reaches, what it may not, and the accounts that would do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import redis

from .conftest import Deployment


def doctor(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "readiness", "doctor", "-q", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def test_it_names_systems_and_prints_accounts(deployment: Deployment, tmp_path: Path) -> None:
    result = doctor(tmp_path, deployment.url, "--mongodb", deployment.mongodb, "--redis", deployment.redis)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"^Mongo +collected +[\d.]+ s  MongoDB \d+\.", result.stdout, re.MULTILINE)
    assert re.search(r"^Redis +collected +[\d.]+ s  valkey \d+\.", result.stdout, re.MULTILINE)
    assert re.match(r"readiness \S+ \(\d+ checks\), Python 3\S+, httpx \S+, pymongo \S+, redis \d", result.stdout)
    assert 'role: "clusterMonitor"' in result.stdout
    assert "ACL SETUSER readiness" in result.stdout


def test_the_printed_acl_is_accepted_and_enough(deployment: Deployment, tmp_path: Path) -> None:
    printed = doctor(tmp_path, "--redis", deployment.redis).stdout
    [line] = [line for line in printed.splitlines() if line.startswith("ACL SETUSER")]
    server = redis.Redis.from_url(deployment.redis)
    server.execute_command(*line.replace("'>PASSWORD'", ">s3cret-s3cret").split())
    url = deployment.redis.replace("redis://", "redis://readiness:s3cret-s3cret@")
    try:
        result = doctor(tmp_path, "--redis", url)
    finally:
        server.execute_command("ACL", "DELUSER", "readiness")
        server.close()
    assert result.returncode == 0, result.stdout
    assert "cannot be judged" not in result.stdout
    assert "s3cret" not in result.stdout + result.stderr


def test_a_user_without_rights_is_told_which_checks_suffer(deployment: Deployment, tmp_path: Path) -> None:
    server = redis.Redis.from_url(deployment.redis)
    server.execute_command("ACL", "SETUSER", "poor", "on", ">s3cret-s3cret", "-@all", "+ping")
    try:
        result = doctor(tmp_path, "--redis", deployment.redis.replace("redis://", "redis://poor:s3cret-s3cret@"))
    finally:
        server.execute_command("ACL", "DELUSER", "poor")
        server.close()
    assert result.returncode == 3
    assert re.search(r"without \S*\+info.*checks cannot be judged: .*caching\.memory\.limit", result.stdout)
