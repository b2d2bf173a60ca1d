"""Who can read the data: without a password, on the wire, from where, and with the auditor's own account."""

from __future__ import annotations

import ipaddress

from readiness.api import Finding, check, failed, maybe, not_applicable, passed, warn
from readiness.facts.mongodb import MongoFacts, MongoMember, MongoTls

from . import _fixes
from ._members import MONITOR, REACH, each, listed

OLD_PROTOCOLS = ("SSLv3", "TLSv1", "TLSv1.1")
WRITES = frozenset(
    {
        "anyAction", "insert", "update", "remove", "dropCollection", "dropDatabase", "createIndex", "createCollection",
        "collMod", "createUser", "grantRole", "shutdown", "replSetConfigure", "setParameter", "killop",
    }
)  # fmt: skip
OWN_DATABASES = ("local", "config", "admin")


@check(
    id="database.security.auth",
    component="database",
    severity="critical",
    phase=1,
    requires=REACH,
    effort="hours",
    fix="Create users, set security.authorization: enabled in mongod.conf, and restart member by member",
    fixes=_fixes.USERS,
    verify='mongosh "mongodb://HOST:27017" --eval "db.adminCommand({listDatabases: 1, nameOnly: true})"',
    reference="https://www.mongodb.com/docs/manual/tutorial/enable-authentication/",
    verdicts=("pass", "fail"),
)
def auth(mongo: MongoFacts) -> Finding:
    """Nobody reads the data without a password.

    A second connection without credentials asks each member for the names of its databases. The greeting, a ping and
    the version are open on every server and prove nothing. Each probe leaves one line in the server's log.
    """

    def judge(member: MongoMember) -> Finding:
        if member.anonymous:
            message = "anybody may list the databases without logging in"
            return failed(message, observed="open", expected="Unauthorized")
        return passed("refuses those who do not log in", observed="Unauthorized", expected="Unauthorized")

    return each(mongo, judge)


@check(
    id="database.security.tls",
    component="database",
    severity="high",
    phase=1,
    requires=REACH,
    effort="days",
    fix="Set net.tls.mode: requireTLS and certificateKeyFile in mongod.conf, and tls=true in every URI",
    verify="openssl s_client -connect HOST:27017 </dev/null | openssl x509 -noout -dates",
    reference="https://www.mongodb.com/docs/manual/tutorial/configure-ssl/",
)
def tls(mongo: MongoFacts, *, warn_days: int = 30, fail_days: int = 7) -> Finding:
    """Traffic is encrypted, with a certificate that is good for weeks.

    From a handshake of the auditor's own with each member, and from the mode of the server: with preferTLS or allowTLS
    clients may still talk in plain text. Plain text is no finding on a server that listens on loopback only.
    """

    def judge(member: MongoMember) -> Finding:
        found, expected = member.tls, f"requireTLS, TLS 1.2 or later, {warn_days} days left"
        if not found.offered and not found.used:
            return _plain(member, expected)
        # Whoever does not use TLS has not said whom he trusts.
        if found.problem and found.used:
            return failed(f"the certificate is not accepted: {found.problem}", observed="not valid", expected=expected)
        return _certificate(mongo, member, found, warn_days, fail_days, expected)

    return each(mongo, judge)


def _plain(member: MongoMember, expected: str) -> Finding:
    addresses = maybe(lambda: member.command_line.addresses)
    beyond = [address for address in addresses or () if not _loopback(address)]
    if member.loopback and not beyond:
        evidence = {"address": member.address, "listens_on": listed(addresses or ("unknown",))}
        return not_applicable("the server is reached over loopback, where nobody can listen", **evidence)
    where = f", and listens on {listed(beyond)}" if member.loopback else ""
    return failed(f"the server offers no TLS{where}", observed="plain text", expected=expected)


def _certificate(
    mongo: MongoFacts, member: MongoMember, found: MongoTls, warn_days: int, fail_days: int, expected: str
) -> Finding:
    ends = maybe(lambda: found.not_after) or member.gauges.certificate_not_after
    days = (ends - mongo.now).total_seconds() / 86_400
    mode = maybe(lambda: member.command_line.tls_mode)
    observed = f"{found.protocol}, {days:.0f} days left, {mode or 'mode unknown'}"
    if days < fail_days:
        return failed(f"the certificate ends in {days:.0f} days", observed=observed, expected=expected)
    if found.protocol in OLD_PROTOCOLS:
        return failed(f"the server speaks {found.protocol}", observed=observed, expected=expected)
    if days < warn_days:
        return warn(f"the certificate ends in {days:.0f} days", observed=observed, expected=expected)
    if mode in ("preferTLS", "allowTLS"):
        return warn(f"mode {mode} still takes plain text", observed=observed, expected=expected)
    return passed(observed, observed=observed, expected=expected)


def _loopback(address: str) -> bool:
    if address == "localhost" or address.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


@check(
    id="database.security.bind",
    component="database",
    severity="medium",
    phase=1,
    requires=REACH,
    privilege=MONITOR,
    effort="minutes",
    fix="Set net.bindIp in mongod.conf to localhost and the address of the private network, and keep a firewall",
    verify='mongosh "$MONGODB_URI" --eval "db.adminCommand({getCmdLineOpts: 1}).parsed.net"',
    reference="https://www.mongodb.com/docs/manual/core/security-mongodb-configuration/",
)
def bind(mongo: MongoFacts) -> Finding:
    """The server listens where it was meant to.

    Listening on all interfaces is what containers must do, and safe only as long as login and TLS are on. An open
    database on a public address is found within hours.
    """
    if mongo.platform != "self_managed":
        return not_applicable("the platform decides where the server listens", platform=mongo.platform)

    def judge(member: MongoMember) -> Finding:
        addresses, expected = member.command_line.addresses, "named addresses, or login and TLS"
        observed = listed(addresses)
        if not {"0.0.0.0", "::", "*"}.intersection(addresses):
            return passed(f"listens on {observed}", observed=observed, expected=expected)
        if member.anonymous:
            return failed("listens everywhere, without login", observed=observed, expected=expected)
        if maybe(lambda: member.command_line.tls_mode) == "requireTLS":
            return passed("listens everywhere, with login and TLS", observed=observed, expected=expected)
        return warn("listens everywhere, without TLS", observed=observed, expected=expected)

    return each(mongo, judge)


@check(
    id="database.security.auditor_least_privilege",
    component="database",
    severity="low",
    requires=REACH,
    effort="minutes",
    fix='db.createUser({user: "readiness", pwd: passwordPrompt(), roles: [{role: "clusterMonitor", db: "admin"}]})',
    fixes=_fixes.AUDITOR,
    verify='mongosh "$MONGODB_URI" --eval "db.runCommand({connectionStatus: 1, showPrivileges: 1})"',
    reference="https://www.mongodb.com/docs/manual/reference/built-in-roles/#mongodb-authrole-clusterMonitor",
    verdicts=("pass", "warn"),
)
def auditor_least_privilege(mongo: MongoFacts) -> Finding:
    """The auditor's account can neither write nor read documents.

    clusterMonitor is enough for every check. An account that can do more is a risk in the configuration of a CI job,
    and nothing here needs it.
    """
    account = mongo.readable[0].account
    if not account.users:
        return not_applicable("the auditor is not logged in, so there is no account to judge", users=0)
    expected, roles = "clusterMonitor and nothing else", listed(account.roles) or "no role"
    writing, reading = [], []
    for entry in account.privileges:
        database, _, collection = entry.resource.partition(".")
        own = database in OWN_DATABASES or collection.startswith("system.")
        if entry.resource == "any" or (WRITES.intersection(entry.actions) and not own):
            writing.append(entry.resource)
        elif "find" in entry.actions and not own:
            reading.append(entry.resource)
    if writing:
        return warn(f"the account can write: {listed(writing)}", observed=roles, expected=expected)
    if reading:
        return warn(f"the account can read documents: {listed(reading)}", observed=roles, expected=expected)
    return passed(f"the account has {roles}", observed=roles, expected=expected)
