"""Placeholders in commands, and what may stand in their place."""

from __future__ import annotations

from typing import Any

import pytest

from readiness.addresses import addresses, filled, observed, trusting
from readiness.facts.base import Facts
from readiness.facts.collected import Collected, Outcome
from readiness.facts.delivery import DeliveryFacts
from readiness.facts.service import ServiceFacts
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


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("curl $URL; curl $URL/assets", "curl https://shop.example/v1; curl https://shop.example/v1/assets"),
        ("curl https://HOST/health/ready", "curl https://shop.example/v1/health/ready"),
        ("curl https://HOST/.well-known/security.txt", "curl https://shop.example/.well-known/security.txt"),
        ("curl -sI http://HOST/", "curl -sI http://shop.example/"),
        ("openssl s_client -connect HOST:443", "openssl s_client -connect shop.example:443"),
        ("nc HOST 80", "nc shop.example 443"),
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_service_below_a_path(text: str, becomes: str, slash: str) -> None:
    assert made(text, http={"url": f"https://shop.example/v1{slash}"}) == becomes


STORES = "redis-cli -h HOST -p 6379 PING; openssl s_client -connect HOST:6379; mongosh mongodb://HOST:27017"


@pytest.mark.parametrize("component", ["caching", "database"])
def test_host_and_port_of_stores(component: str) -> None:
    stores = {"redis": {"url": "rediss://u:s3cret@cache:7000/3?x=y"}, "mongodb": {"uri": "mongodb://u:s3cret@a,b:1/db"}}
    assert made(STORES, component, **stores) == (
        "redis-cli -h cache -p 7000 PING; openssl s_client -connect cache:7000; mongosh mongodb://a:27017"
    )


@pytest.mark.parametrize(
    "stores",
    [
        {"redis": {"url": "unix:///run/redis.sock"}, "mongodb": {"uri": "mongodb+srv://u:s3cret@cluster.example/db"}},
        {"redis": {"url": "redis://user:12#34@cache/"}},
        {"redis": {"url": "redis://user:12?34@cache/"}},
    ],
    ids=["no host", "half a password", "half a password again"],
)
def test_what_may_be_no_host_stays_a_placeholder(stores: dict[str, Any]) -> None:
    assert made(STORES, "caching", **stores) == STORES


def test_the_service_in_the_commands_of_stores() -> None:
    assert made("curl $URL; curl $URL_OF_ANOTHER HOST", "caching", http=SHOP) == (
        "curl https://shop.example:8443; curl $URL_OF_ANOTHER HOST"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_nobody_issues_a_certificate_for_an_address(host: str) -> None:
    text = "certbot --nginx -d HOST; ls /etc/letsencrypt/live/HOST/"
    assert made(text, http={"url": f"http://{host}:8080"}) == (
        "certbot --nginx -d example.com; ls /etc/letsencrypt/live/example.com/"
    )
    assert "-d shop.example;" in made(text, http=SHOP)


def test_curl_trusts_what_the_audit_trusts() -> None:
    settings = Settings.model_validate({"http": {"url": "https://shop/", "ca_file": "my ca.pem"}})
    text = "for i in 1 2; do curl -s https://shop/a; done | sort; curl -s https://elsewhere/ | wc; libcurl https://shop"
    assert trusting(text, settings) == text.replace("do curl", "do curl --cacert 'my ca.pem'")
    nested = 'curl -si -H "If-None-Match: $(curl -sI https://shop | head -1)" https://shop | head -1'
    assert trusting(nested, settings).count("--cacert") == 2
    assert trusting(text, Settings.model_validate({"http": {"url": "https://shop/"}})) == text


def collected(**facts: Facts) -> dict[str, Collected]:
    return {name: Collected(Outcome.COLLECTED, each) for name, each in facts.items()}


def test_what_was_observed_replaces_what_is_usual() -> None:
    exchange = {"method": "GET", "url": "https://shop/v1/healthz", "status": 200}
    service = ServiceFacts.from_json(
        {
            "health": [{"kind": "general", "path": "/healthz", "exchange": exchange}],
            "metrics": {"state": "parsed", "path": "/stats"},
        }
    )
    page = DeliveryFacts.from_json({"url": "https://shop/v1", "resources": [{"kind": "asset", "path": "/s/a.js"}]})
    known = addresses(
        Settings.model_validate({"http": {"url": "https://shop/v1"}}),
        "monitoring",
        observed(collected(ServiceFacts=service, DeliveryFacts=page)),
    )
    text = "curl https://HOST/health/ready https://HOST/health https://HOST/health/live https://HOST/metrics"
    assert filled(f"{text} $URL/assets/app.js $URL", known) == (
        "curl https://shop/v1/healthz https://shop/v1/healthz https://shop/v1/health/live https://shop/v1/stats "
        "https://shop/s/a.js https://shop/v1"
    )


def test_a_hostile_path_is_not_observed() -> None:
    exchange = {"method": "GET", "url": "https://shop/$(id)", "status": 200}
    service = ServiceFacts.from_json({"health": [{"kind": "readiness", "path": "/$(id)", "exchange": exchange}]})
    settings = Settings.model_validate({"http": {"url": "https://shop"}})
    known = addresses(settings, "monitoring", observed(collected(ServiceFacts=service)))
    assert filled("curl https://HOST/health/ready", known) == "curl https://shop/health/ready"


def test_nothing_observed() -> None:
    assert observed({}) == {}
