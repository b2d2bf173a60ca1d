"""Placeholders in commands, and what may stand in their place."""

from __future__ import annotations

from typing import Any

import pytest

from readiness.addresses import addresses, filled
from readiness.settings import Settings


def made(text: str, component: str = "security", **sections: Any) -> str:
    return filled(text, addresses(Settings.model_validate(sections), component))


SHOP = {"url": "https://shop.example:8443/", "writable": ["/api/orders"], "protected": ["/api/me", "/api/admin"]}


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("curl -si https://HOST/health", "curl -si https://shop.example:8443/health"),
        ("curl -sI http://HOST/", "curl -sI http://shop.example/"),
        ("curl https://HOST/WRITABLE", "curl https://shop.example:8443/api/orders"),
        ("curl https://HOST/PROTECTED", "curl https://shop.example:8443/api/me"),
        ("curl https://HOST/ENDPOINT", "curl https://shop.example:8443/ENDPOINT"),
        ("curl $URL/assets", "curl https://shop.example:8443/assets"),
        (
            "openssl s_client -connect HOST:443 -servername HOST",
            "openssl s_client -connect shop.example:8443 -servername shop.example",
        ),
        ("nc HOST 80", "nc shop.example 8443"),
        ("return 301 https://$host$request_uri", "return 301 https://$host$request_uri"),
        ("$HOSTNAME PRIMARY_HOST LOCALHOST", "$HOSTNAME PRIMARY_HOST LOCALHOST"),
        ("curl http://PROMETHEUS:9090/-/ready", "curl http://prom:9090/-/ready"),
        ("curl http://ALERTMANAGER:9093", "curl http://ALERTMANAGER:9093"),
    ],
)
def test_what_is_configured_is_filled_in(text: str, becomes: str) -> None:
    assert made(text, http=SHOP, prometheus={"url": "http://prom:9090/"}) == becomes


def test_another_host_in_the_commands_of_stores() -> None:
    text = "redis-cli --cluster fix HOST:6379; curl -s https://HOST/health"
    assert made(text, "caching", http=SHOP) == (
        "redis-cli --cluster fix HOST:6379; curl -s https://shop.example:8443/health"
    )


def test_without_a_configuration_nothing_changes() -> None:
    assert made("curl https://HOST/ http://PROMETHEUS:9090") == "curl https://HOST/ http://PROMETHEUS:9090"


def test_ports_and_addresses() -> None:
    assert made("HOST:443 HOST 80", http={"url": "http://127.0.0.1:8080"}) == "127.0.0.1:8080 127.0.0.1 8080"
    assert made("HOST:443", http={"url": "http://shop"}) == "shop:80"
    assert made("HOST:443", http={"url": "https://[::1]:8443"}) == "[::1]:8443"


def test_what_a_shell_would_obey_stays_a_placeholder() -> None:
    hostile = {"url": "https://shop.example/", "writable": ["/a;rm -rf /", "/b"], "protected": ["/$(id)"]}
    assert made("https://HOST/WRITABLE https://HOST/PROTECTED", http=hostile) == (
        "https://shop.example/WRITABLE https://shop.example/PROTECTED"
    )


def test_no_credentials() -> None:
    known = addresses(
        Settings.model_validate(
            {"mongodb": {"uri": "mongodb://u:secret@db/"}, "redis": {"url": "redis://:secret@cache/"}, "http": SHOP}
        ),
        "caching",
    )
    assert "secret" not in repr(known)
