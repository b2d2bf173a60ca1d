"""Reads the application's MongoDB options out of its URI. Nothing is connected to and no name is resolved."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from readiness.api import MongoDBSettings, ProbeError, absent, probe
from readiness.facts.mongodb_client import ClientOptionsFacts

_SPECIFIED = {
    "appname", "authmechanism", "authmechanismproperties", "authsource", "compressors", "connecttimeoutms",
    "directconnection", "heartbeatfrequencyms", "journal", "loadbalanced", "localthresholdms", "maxconnecting",
    "maxidletimems", "maxpoolsize", "maxstalenessseconds", "minpoolsize", "proxyhost", "proxypassword", "proxyport",
    "proxyusername", "readconcernlevel", "readpreference", "readpreferencetags", "replicaset", "retryreads",
    "retrywrites", "servermonitoringmode", "serverselectiontimeoutms", "serverselectiontryonce", "sockettimeoutms",
    "srvmaxhosts", "srvservicename", "ssl", "timeoutms", "tls", "tlsallowinvalidcertificates",
    "tlsallowinvalidhostnames", "tlscafile", "tlscertificatekeyfile", "tlscertificatekeyfilepassword", "tlscrlfile",
    "tlsdisablecertificaterevocationcheck", "tlsdisableocspendpointcheck", "tlsinsecure", "w", "waitqueuetimeoutms",
    "wtimeoutms", "zlibcompressionlevel",
}  # fmt: skip
"""The URI options of MongoDB's own specification, in lower case."""
_OF_DRIVERS = {
    # PyMongo
    "connect", "datetime_conversion", "document_class", "fsync", "tz_aware", "unicode_decode_error_handler",
    "uuidrepresentation",
    # Node.js
    "autoselectfamily", "autoselectfamilyattempttimeout", "bsonregexp", "checkkeys", "enableutf8validation", "family",
    "forceserverobjectid", "ignoreundefined", "keepalive", "keepaliveinitialdelay", "minheartbeatfrequencyms",
    "monitorcommands", "nodelay", "pkfactory", "promotebuffers", "promotelongs", "promotevalues", "raw",
    "serializefunctions", "serverapi", "tlscertificatefile", "usebigint64",
    # Java, .NET and others
    "maxlifetimems", "sslinvalidhostnameallowed", "streamtype", "canonicalize_host_name",
}  # fmt: skip
"""What single drivers understand besides."""
_LEGACY = {"j": "journal", "ssl": "tls", "wtimeout": "wtimeoutms"}
_NUMBERS = {
    "maxpoolsize": "max_pool_size",
    "minpoolsize": "min_pool_size",
    "maxidletimems": "max_idle_ms",
    "waitqueuetimeoutms": "wait_queue_ms",
    "serverselectiontimeoutms": "server_selection_ms",
    "connecttimeoutms": "connect_ms",
    "sockettimeoutms": "socket_ms",
    "timeoutms": "timeout_ms",
    "maxconnecting": "max_connecting",
    "heartbeatfrequencyms": "heartbeat_ms",
}
_SWITCHES = {
    "directconnection": "direct",
    "retrywrites": "retry_writes",
    "retryreads": "retry_reads",
    "journal": "journal",
}
_TEXTS = {
    "replicaset": "replica_set",
    "appname": "app_name",
    "authmechanism": "auth_mechanism",
    "authsource": "auth_source",
}
_READ_PREFERENCES = ("primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest")
_DRIVER = "driver"
"""In mongodb.options the name of the application's driver, whose defaults then apply; no driver has such an option."""
_LOOSE = ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames")
_WITHOUT_USER = ("MONGODB-X509", "MONGODB-AWS", "MONGODB-OIDC")


@probe(needs="mongodb.app_uri or mongodb.options", drivers=("pymongo",))
async def client_options(settings: MongoDBSettings) -> ClientOptionsFacts:
    """Parses the URI, and adds the options that are configured beside it. Raises ProbeError for a URI that is none."""
    uri = settings.app_uri.get_secret_value() if settings.app_uri is not None else ""
    given = {name: _text(value) for name, value in settings.options.items()}
    driver = given.pop(_DRIVER, None)
    written = {**_query(uri), **given}
    options = {_LEGACY.get(name.lower(), name.lower()): value.strip() for name, value in written.items()}
    known = _SPECIFIED | _OF_DRIVERS
    found: dict[str, Any] = {
        "from_uri": bool(uri),
        "beside": tuple(_LEGACY.get(name.lower(), name.lower())[:60] for name in given),
        "driver": driver and driver[:100],
        "unknown": tuple(name[:60] for name in written if _LEGACY.get(name.lower(), name.lower()) not in known),
    }
    refused = _read(options, found)
    if uri:
        found |= _address(uri, options)
    smallest, largest = found.get("min_pool_size"), found.get("max_pool_size")
    if isinstance(smallest, int) and isinstance(largest, int) and 0 < largest < smallest:
        refused.append("minPoolSize above maxPoolSize")
    if found.get("direct") is True and len(found.get("seeds", ())) > 1:
        refused.append("directConnection with several hosts")
    return ClientOptionsFacts(refused=tuple(refused), **found)


def _query(uri: str) -> dict[str, str]:
    """The options as they are written: a driver drops what this machine does not support."""
    pairs = (part.partition("=") for part in uri.partition("?")[2].replace(";", "&").split("&") if part)
    return {unquote_plus(name): unquote_plus(value) for name, _, value in pairs}


def _text(value: bool | float | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(options: Mapping[str, str], found: dict[str, Any]) -> list[str]:
    """Fills in the typed options, and returns those whose values no driver takes."""
    refused = []
    for name, value in options.items():
        if name in _NUMBERS:
            number = _number(value)
            found[_NUMBERS[name]] = number if number is not None else absent(f"{name} is not a number")
            refused += [name] if number is None else []
        elif name in _SWITCHES:
            valid = value.lower() in ("true", "false")
            found[_SWITCHES[name]] = value.lower() == "true" if valid else absent(f"{name} is neither true nor false")
            refused += [] if valid else [name]
        elif name in _TEXTS:
            found[_TEXTS[name]] = value[:100]
    refused += _reads(options, found)
    if "w" in options:
        found["write_concern"] = int(options["w"]) if options["w"].isdecimal() else options["w"][:100]
    found["compressors"] = tuple(part for part in options.get("compressors", "").lower().split(",") if part)
    return refused


def _reads(options: Mapping[str, str], found: dict[str, Any]) -> list[str]:
    """Fills in from where reads may come, and returns the options whose values no driver takes."""
    refused = []
    if (preference := options.get("readpreference")) is not None:
        known = next((name for name in _READ_PREFERENCES if name.lower() == preference.lower()), None)
        found["read_preference"] = known or absent("readPreference is none of the five")
        refused += [] if known else ["readpreference"]
    if (staleness := options.get("maxstalenessseconds")) is not None:
        seconds = -1 if staleness == "-1" else _number(staleness)
        found["max_staleness_seconds"] = absent("maxStalenessSeconds is not a number") if seconds is None else seconds
        refused += ["maxstalenessseconds"] if seconds is None else []
    return refused


def _number(value: str) -> int | None:
    try:
        number = int(float(value))
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < 2**63 else None


def _address(uri: str, options: Mapping[str, str]) -> dict[str, Any]:
    """Seeds, login and TLS of a URI."""
    from pymongo.errors import PyMongoError
    from pymongo.uri_parser import parse_uri

    srv = uri.startswith("mongodb+srv://")
    # Without its options, which are judged one by one, and as a plain URI, so that DNS is not asked.
    plain = "mongodb://" + uri.partition("://")[2].partition("?")[0]
    try:
        parsed = parse_uri(plain if "/" in plain.partition("://")[2] else plain + "/")
    except (PyMongoError, ValueError, TypeError) as error:
        # The driver's own words might quote the URI.
        raise ProbeError(f"mongodb.app_uri: the driver refuses it ({type(error).__name__})") from None
    hosts = [str(host) for host, _ in parsed["nodelist"]]
    seeds = tuple(host if srv or port is None else f"{host}:{port}" for host, port in parsed["nodelist"])
    tls = options.get("tls", "true" if srv else "false").lower() == "true"
    loose = any(options.get(name, "").lower() == "true" for name in _LOOSE)
    mechanism = options.get("authmechanism", "").upper()
    found: dict[str, Any] = {
        "srv": srv,
        "seeds": seeds,
        "loopback": all(map(_is_loopback, hosts)),
        "documentdb": all(".docdb." in host for host in hosts),
        "tls": tls,
        "tls_verified": not loose if tls else absent("no TLS"),
        "logs_in": parsed["username"] is not None or mechanism in _WITHOUT_USER,
    }
    if parsed["username"] is not None and "authsource" not in options:
        found["auth_source"] = parsed["database"] or "admin"
    return found


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
