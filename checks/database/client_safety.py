"""What the application's options mean for its data: retries, write concern, TLS, login, seeds."""

from __future__ import annotations

from readiness.api import Finding, check, failed, not_applicable, passed, untested, warn
from readiness.facts.mongodb import MongoFacts
from readiness.facts.mongodb_client import ClientOptionsFacts

from . import _fixes
from ._members import listed
from ._tables import ZLIB_CVE, ZLIB_FIXED, ZLIB_SOURCE, series, vulnerable

NEEDS_URI = "needs mongodb.app_uri in the configuration: options alone do not say it"


@check(
    id="database.client.retry",
    component="database",
    severity="medium",
    effort="minutes",
    fix="Remove retryWrites=false and retryReads=false from the application's URI",
    fixes=_fixes.RETRY,
    reference="https://www.mongodb.com/docs/manual/core/retryable-writes/",
    verdicts=("pass", "warn"),
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i 'retry'",
)
def retry(client: ClientOptionsFacts, mongo: MongoFacts | None) -> Finding:
    """One election or a reset connection is invisible to users.

    Every driver since 2019 repeats a read or write once when the connection breaks or the primary changes, unless it is
    told not to. A standalone server cannot repeat writes. Amazon DocumentDB does not support retryable writes, so there
    retryWrites=false is right.
    """
    if client.documentdb:
        if client.retry_writes is False:
            return passed("retryWrites=false, as DocumentDB demands", observed="false", expected="retryWrites=false")
        return warn("DocumentDB refuses retryable writes", observed="not false", expected="retryWrites=false")
    if mongo is not None and mongo.topology == "standalone":
        return not_applicable("a standalone server does not repeat writes", topology=mongo.topology)
    switches = {"retryWrites": client.retry_writes, "retryReads": client.retry_reads}
    off = [name for name, value in switches.items() if value is False]
    expected = "neither is switched off"
    if off:
        return warn(f"{' and '.join(off)} switched off", observed=f"{'=false, '.join(off)}=false", expected=expected)
    return passed("reads and writes are repeated once", observed="on", expected=expected)


@check(
    id="database.client.write_concern",
    component="database",
    severity="high",
    effort="minutes",
    fix="Remove w from the application's URI, or set w=majority",
    fixes=_fixes.WRITE_CONCERN,
    reference="https://www.mongodb.com/docs/manual/reference/write-concern/",
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i 'w='",
)
def write_concern(client: ClientOptionsFacts) -> Finding:
    """Writes that the application believes to be done survive a failover.

    With w=0 the driver does not even wait for an answer; with w=1 or j=false a write may be lost when the primary is.
    Where the URI says nothing the default of the server applies, which database.repl.write_concern_default judges.
    """
    w, expected = client.write_concern, "majority, or unset"
    if w == 0:
        return failed("w=0: errors of writes are never seen", observed="w=0", expected=expected)
    if w == 1 or client.journal is False:
        text = "w=1" if w == 1 else "journal=false"
        return warn(f"{text}: an acknowledged write may be lost", observed=text, expected=expected)
    observed = "unset" if w is None else f"w={w}"
    return passed(f"write concern is {observed}", observed=observed, expected=expected)


@check(
    id="database.client.compressors",
    component="database",
    severity="info",
    effort="minutes",
    fix="Use compressors=zstd,snappy in the URI, and net.compression.compressors: snappy,zstd in mongod.conf",
    fixes=_fixes.COMPRESSORS,
    reference="https://www.mongodb.com/docs/manual/reference/connection-string-options/#compression-options",
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i 'compressors'",
)
def compressors(client: ClientOptionsFacts, mongo: MongoFacts | None) -> Finding:
    """Traffic to the database is compressed, and not with zlib on a server that it endangers.

    zstd and snappy save bandwidth at little cost. Common recipes say zlib; servers before the fix of CVE-2025-14847
    disclose memory to whomever speaks zlib, without a login, so it is judged only together with the version of the
    server, and earns nothing on an old one. On a local network no compression is fine too.
    """
    chosen = client.compressors
    expected = f"zstd or snappy; zlib only on a server with the fix of {ZLIB_CVE} ({ZLIB_SOURCE})"
    text = ", ".join(chosen) or "none"
    if not chosen:
        return warn("traffic is not compressed", observed=text, expected=expected)
    if "zlib" not in chosen:
        return passed(f"traffic is compressed with {text}", observed=text, expected=expected)
    if mongo is None:
        return untested("needs mongodb.uri in the configuration: whether zlib is safe depends on the server's version")
    old = [member.version for member in mongo.readable if vulnerable(member.version)]
    if old:
        fixed = ZLIB_FIXED.get(series(old[0]))
        remedy = f"fixed in {'.'.join(map(str, fixed))}" if fixed else "without a fix in its series"
        message = f"zlib with a server of version {old[0]}, which has {ZLIB_CVE}, {remedy}"
        return failed(message, observed=text, expected=expected, evidence={"source": ZLIB_SOURCE})
    return passed(f"traffic is compressed with {text}", observed=text, expected=expected)


@check(
    id="database.client.tls",
    component="database",
    severity="high",
    effort="hours",
    fix="Add tls=true and tlsCAFile to the URI, and remove tlsInsecure and tlsAllowInvalid...",
    fixes=_fixes.TLS,
    reference="https://www.mongodb.com/docs/manual/reference/connection-string-options/#tls-options",
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i 'tls'",
)
def tls(client: ClientOptionsFacts) -> Finding:
    """The application encrypts its traffic to the database and verifies whom it talks to.

    mongodb+srv implies tls=true. TLS without verification keeps out listeners but not impostors. Plain text that never
    leaves the machine is no finding.
    """
    if not client.from_uri:
        return untested(NEEDS_URI)
    expected = "TLS, with verified certificates"
    if not client.tls:
        if client.loopback:
            return not_applicable("the application reaches the database over loopback", seeds=list(client.seeds))
        return failed("no TLS to a database on the network", observed="plain text", expected=expected)
    if not client.tls_verified:
        return warn("TLS without verification of the certificate", observed="not verified", expected=expected)
    return passed("TLS with verification", observed="verified", expected=expected)


@check(
    id="database.client.auth",
    component="database",
    severity="high",
    effort="hours",
    fix="Create a user for the application, and put it into the URI with authSource=admin",
    reference="https://www.mongodb.com/docs/manual/core/authentication/",
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i 'auth'",
)
def auth(client: ClientOptionsFacts) -> Finding:
    """The application logs in to the database, with a modern mechanism.

    A client without credentials works only where everybody may do everything. SCRAM-SHA-1 and MONGODB-CR are outdated,
    and PLAIN shows the password to whoever listens unless there is TLS.
    """
    if not client.from_uri:
        return untested(NEEDS_URI)
    mechanism, expected = (client.auth_mechanism or "").upper(), "a login, by SCRAM-SHA-256 or a certificate"
    if not client.logs_in:
        if client.loopback:
            return not_applicable("the application reaches the database over loopback", seeds=list(client.seeds))
        return failed("the application does not log in", observed="no credentials", expected=expected)
    if mechanism in ("SCRAM-SHA-1", "MONGODB-CR") or (mechanism == "PLAIN" and not client.tls):
        return warn(f"the mechanism is {mechanism}", observed=mechanism, expected=expected)
    return passed("the application logs in", observed=mechanism or "negotiated", expected=expected)


@check(
    id="database.client.app_name",
    component="database",
    severity="low",
    effort="minutes",
    fix="Add appName=<service> to the application's URI",
    fixes=_fixes.APP_NAME,
    reference="https://www.mongodb.com/docs/manual/reference/connection-string-options/#mongodb-urioption-urioption.appName",
    verdicts=("pass", "warn"),
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i 'appName'",
)
def app_name(client: ClientOptionsFacts) -> Finding:
    """The application can be told apart in the server's logs and operations.

    The name appears in the log, the profiler and $currentOp. Without it, nobody sees whose query is slow.
    """
    if not client.app_name:
        return warn("appName is not set", observed="none", expected="the name of the service")
    return passed(f"appName is {client.app_name}", observed=client.app_name, expected="the name of the service")


@check(
    id="database.client.unknown_options",
    component="database",
    severity="low",
    effort="minutes",
    fix="Rename or remove the options, for example poolSize -> maxPoolSize",
    reference="https://www.mongodb.com/docs/manual/reference/connection-string-options/",
    verdicts=("pass", "warn"),
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | tail -n +2",
)
def unknown_options(client: ClientOptionsFacts) -> Finding:
    """No option of the application is silently ignored.

    Drivers ignore what they do not know or cannot read, with a warning at most: poolSize=5 of an old Mongoose leaves
    the pool at 100. What PyMongo, Node.js, Java and .NET understand besides the specification counts as known.
    """
    odd = (*client.unknown, *client.refused)
    if odd:
        return warn(f"ignored or refused: {listed(odd)}", observed=listed(odd, 10), expected="none")
    return passed("every option is known", observed="0 unknown", expected="0 unknown")


@check(
    id="database.client.seeds",
    component="database",
    severity="medium",
    effort="minutes",
    fix="List three members and replicaSet=<name> in the URI, or use mongodb+srv; remove directConnection=true",
    reference="https://www.mongodb.com/docs/manual/reference/connection-string/#replica-set-members",
    verify="sed 's/.*@//; s/[/?].*//' <<< \"$APP_MONGODB_URI\"  # the hosts",
)
def seeds(client: ClientOptionsFacts, mongo: MongoFacts | None) -> Finding:
    """The application finds the database also when one address is gone.

    A single seed must be up when the application starts, and directConnection=true ties it to one member for good. An
    SRV record, or the name of a headless Kubernetes service, stands for all members.
    """
    if not client.from_uri:
        return untested(NEEDS_URI)
    topology = mongo.topology if mongo is not None else None
    if topology == "standalone":
        return not_applicable("a standalone server has one address", topology=topology)
    names, expected = client.seeds, "an SRV record, or at least 2 seeds and replicaSet"
    observed = f"{len(names)} seeds" if len(names) != 1 else "1 seed"
    if client.direct:
        message = "directConnection=true: no failover to another member"
        if topology is not None:
            return failed(message, observed="directConnection=true", expected=expected)
        return warn(message, observed="directConnection=true", expected=expected)
    if client.srv or ".svc" in names[0]:
        return passed("one name stands for all members", observed=names[0], expected=expected)
    if len(names) < 2:
        return warn("the URI names a single member", observed=observed, expected=expected)
    if client.replica_set is None and topology != "mongos":
        return warn(f"{observed}, but replicaSet is not set", observed=observed, expected=expected)
    return passed(f"{observed} are given", observed=observed, expected=expected)
