"""Which families of a scrape tell of the database driver's pool, and what they say."""

from __future__ import annotations

import pytest

from readiness.facts.metrics import PoolMetrics
from readiness.probes.exposition import parse
from readiness.probes.pool_families import pool

OLD = """\
db_client_connections_usage{pool_name="db1:27017",state="idle"} 8
db_client_connections_usage{pool_name="db1:27017",state="used"} 2
db_client_connections_usage{pool_name="db2:27017",state="idle"} 10
db_client_connections_max{pool_name="db1:27017"} 50
db_client_connections_idle_min{pool_name="db1:27017"} 10
db_client_connections_idle_max{pool_name="db1:27017"} 40
db_client_connections_pending_requests{pool_name="db1:27017"} 3
"""
NEW = OLD.replace("connections_usage", "connection_count").replace("connections_", "connection_")
NEW = NEW.replace("pool_name", "db_client_connection_pool_name").replace(",state", ",db_client_connection_state")
MICROMETER = """\
mongodb_driver_pool_size{server_address="db1:27017"} 12
mongodb_driver_pool_size{server_address="db2:27017"} 10
mongodb_driver_pool_checkedout{server_address="db1:27017"} 2
mongodb_driver_pool_checkedout{server_address="db2:27017"} 0
mongodb_driver_pool_waitqueuesize{server_address="db1:27017"} 1
mongodb_driver_pool_max{server_address="db1:27017"} 50
mongodb_driver_pool_min{server_address="db1:27017"} 10
"""
OWN = """\
database_pool_connections{state="open"} 12
database_pool_connections{state="used"} 2
database_pool_connections{state="waiting"} 0
"""


def told(text: str) -> PoolMetrics | None:
    return pool(parse(text, "text/plain"))


@pytest.mark.parametrize(
    ("text", "family"), [(OLD, "db_client_connections_usage"), (NEW, "db_client_connection_count")]
)
def test_the_conventions_of_opentelemetry(text: str, family: str) -> None:
    expected = PoolMetrics(family=family, pools=2, open=20, used=2, idle=18, waiting=3, largest=50, smallest=10)
    assert told(text) == expected
    assert told("# TYPE x gauge\n" + text + 'up{job="x"} 1\n') == expected


def test_the_driver_s_own_come_first() -> None:
    expected = PoolMetrics(
        family="mongodb_driver_pool_size", pools=2, open=22, used=2, waiting=1, largest=50, smallest=10
    )
    assert told(MICROMETER) == expected
    assert told(OLD + OWN + MICROMETER) == expected


def test_gauges_of_an_application_s_own() -> None:
    assert told(OWN) == PoolMetrics(family="database_pool_connections", pools=1, open=12, used=2, waiting=0)


@pytest.mark.parametrize(
    "text",
    [
        "http_requests_total 5\n",
        'db_client_connections_usage{pool_name="HikariPool-1",state="idle"} 8\n',
        'db_client_connection_count{db_system_name="postgresql",db_client_connection_state="idle"} 8\n',
        'db_client_connections_usage{pool_name="x",state="dreaming"} 8\n',
        'mongodb_connections{state="current"} 8\n',
        "db_client_connections_max NaN\n",
        "mongodb_driver_pool_size -1\n",
        "# TYPE db_client_connections_max summary\ndb_client_connections_max_sum 5\n",
        "thread_pool_size 5\n",
    ],
)
def test_what_is_no_pool_of_the_database(text: str) -> None:
    assert told(text) is None
