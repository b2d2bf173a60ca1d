"""The MongoDB probe: one direct connection a member, a shared quiet window, and everything joined into facts.

The seeds of the URI are contacted, and the members that they announce, as far as these lie on the same kind of network
as the seeds: an audit must not be sent about by the server it audits.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Iterable

from readiness.api import Context, MongoDBSettings, ProbeError, absent, probe
from readiness.facts.base import Absent
from readiness.facts.mongodb import Hello, MongoFacts, MongoMember, NotFollowed, Platform, Topology
from readiness.facts.mongodb_server import Counters
from readiness.probes._accounts import mongodb_account
from readiness.probes.mongodb_member import Gate, Visit
from readiness.probes.mongodb_target import Address, Target, resolve, target
from readiness.probes.network import refusal, widest

MOST_ANNOUNCED = 200
LEAST_OPERATIONS = 30
STRAGGLER_SECONDS = 0.5
"""How long the window waits for members that are slower than the first one, at least."""


@probe(needs="mongodb.uri", windowed=True, drivers=("pymongo",), account=mongodb_account)
async def mongodb(settings: MongoDBSettings, context: Context) -> MongoFacts:
    """Reads every member that can be reached. Raises ProbeError where none answers."""
    assert settings.uri is not None  # the engine runs no probe whose key is missing
    found = await target(settings.uri.get_secret_value(), context.limits)
    tour = _Round(found, context)
    await tour.assemble()
    visits = await tour.finish()
    if not any(visit.greeted and not visit.rejected for visit in visits):
        raise ProbeError(_none(visits), privilege="a valid account" if any(v.rejected for v in visits) else None)
    return _facts(found, visits, tour.not_followed)


class _Round:
    """All visits of one audit: seeds first, then whom they announce; one window for those that are ready in time."""

    def __init__(self, found: Target, context: Context) -> None:
        self._target = found
        self._context = context
        self._began = time.monotonic()
        self._gate = Gate(context.window)
        self._visits: dict[Address, Visit] = {}
        self._running: list[asyncio.Task[None]] = []
        self._following: list[asyncio.Task[None]] = []
        self._asked: set[str] = set()
        self._networks: set[str] = set()
        self.not_followed: dict[str, str] = {}
        for seed in found.seeds[: context.limits.members]:
            self._visit(seed)

    def _visit(self, address: Address) -> None:
        if address not in self._visits and len(self._visits) < self._context.limits.members:
            visit = self._visits[address] = Visit(address, self._target, self._context.user_agent, self._began)
            self._running.append(asyncio.create_task(visit.run(self._announce, self._gate)))

    def _announce(self, visit: Visit) -> None:
        """Follows what a member announced, each name once."""
        if visit.address in self._target.seeds:
            self._networks.add(widest([visit.peer]))
        for name in _announced(visit):
            if name not in self._asked and len(self._asked) < MOST_ANNOUNCED:
                self._asked.add(name)
                self._following.append(asyncio.create_task(self._follow(name)))

    async def _follow(self, name: str) -> None:
        address = Address.parse(name)
        if address in self._visits:
            return
        if address is None:
            self.not_followed[name] = "not an address"
        elif self._target.discloses and not self._target.uses_tls:
            self.not_followed[name] = "logging in there would disclose the password"
        elif not (addresses := await resolve(address)):
            self.not_followed[name] = "its name cannot be resolved here"
        elif why := refusal(self._context.limits, name, widest(addresses), self._networks):
            self.not_followed[name] = why
        # A seed may have another name than its set uses for it.
        elif name not in {visit.own_name for visit in self._visits.values()}:
            if len(self._visits) < self._context.limits.members:
                self._visit(address)
            else:
                self.not_followed[name] = f"limits.members is {self._context.limits.members}"

    async def assemble(self) -> None:
        """Waits until the members are ready, but not long for the last of them, and opens the window."""
        everyone = asyncio.create_task(self._everyone())
        first = asyncio.create_task(self._gate.answered.wait())
        await asyncio.wait(
            {everyone, first}, timeout=2 * self._context.limits.connect_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if first.done():
            patience = max(STRAGGLER_SECONDS, time.monotonic() - self._began)
            await asyncio.wait({everyone}, timeout=patience)
        everyone.cancel()
        first.cancel()
        opened = await self._context.window.opened() if self._gate.answered.is_set() else time.monotonic()
        self._gate.opened.set_result(opened)

    async def _everyone(self) -> None:
        """Returns once every visit is ready, those that began meanwhile too."""
        while True:
            unready = [visit.ready.wait() for visit in self._visits.values() if not visit.ready.is_set()]
            unresolved = [task for task in self._following if not task.done()]
            if not unready and not unresolved:
                return
            await asyncio.gather(*unready, *unresolved)

    async def finish(self) -> list[Visit]:
        """Waits for the visits to end, leaves behind those that do not, and returns all of them."""
        limits = self._context.limits
        seconds = 0.8 * limits.probe_seconds + limits.window_seconds - (time.monotonic() - self._began)
        waiting = {task for task in (*self._running, *self._following) if not task.done()}
        while waiting:
            _, late = await asyncio.wait(waiting, timeout=max(0.1, seconds))
            if late:
                for visit in self._visits.values():
                    visit.abandon()
                for task in late:
                    task.cancel()
                await asyncio.wait(late, timeout=1)
                break
            waiting = {task for task in (*self._running, *self._following) if not task.done()}
        for task in (*self._running, *self._following):
            if task.done() and not task.cancelled():
                task.result()  # visits do not raise: this is a bug, and should be seen
        return _distinct(self._visits.values())


def _announced(visit: Visit) -> Iterable[str]:
    """The addresses in a greeting and in the configuration of the set."""
    for field in ("hosts", "passives", "arbiters"):
        names = visit.hello.get(field)
        yield from (name[:300] for name in names[:100] if isinstance(name, str)) if isinstance(names, list) else ()
    members = visit.config.get("members") if isinstance(visit.config, dict) else None
    for entry in members[:100] if isinstance(members, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("host"), str):
            yield entry["host"][:300]


def _distinct(visits: Iterable[Visit]) -> list[Visit]:
    """One visit a member: two seeds may be names of the same one."""
    kept: dict[object, Visit] = {}
    for visit in visits:
        known = kept.setdefault(visit.own_name or visit.address, visit)
        if not known.answers and visit.answers:
            kept[visit.own_name] = visit
    return list(kept.values())


def _none(visits: Iterable[Visit]) -> str:
    reasons = [f"{visit.address.name}: {visit.reason or 'no answer'}" for visit in visits]
    return "; ".join(reasons[:3]) + (f"; and {len(reasons) - 3} more" if len(reasons) > 3 else "")


def _facts(found: Target, visits: list[Visit], not_followed: dict[str, str]) -> MongoFacts:
    members = tuple(visit.member() for visit in visits)
    primary = next((m.address for m in members if m.answers and _writable(m)), None)
    topology = _topology(visits)
    return MongoFacts(
        now=dt.datetime.now(dt.UTC),
        topology=topology,
        platform=_platform(found.seeds),
        members=members,
        not_followed=tuple(NotFollowed(address=name, reason=reason) for name, reason in not_followed.items()),
        primary=primary or absent("no member is primary"),
        operation_ms=operation_ms([m.activity for m in members if m.readable and _counted(m)]),
    )


def _writable(member: MongoMember) -> bool:
    hello = member.__dict__["hello"]  # may be unreadable
    return isinstance(hello, Hello) and hello.__dict__["writable"] is True


def _topology(visits: Iterable[Visit]) -> Topology:
    greetings = [visit.hello for visit in visits if visit.greeted]
    if any("setName" in hello or hello.get("isreplicaset") for hello in greetings):
        return "replica_set"
    return "mongos" if any(hello.get("msg") == "isdbgrid" for hello in greetings) else "standalone"


def _platform(seeds: Iterable[Address]) -> Platform:
    hosts = [seed.host for seed in seeds]
    if any(host.endswith(".mongodb.net") for host in hosts):
        return "atlas"
    return "documentdb" if any(".docdb." in host and ".amazonaws.com" in host for host in hosts) else "self_managed"


def _counted(member: MongoMember) -> bool:
    return isinstance(member.__dict__["activity"], Counters)


def operation_ms(activities: Iterable[Counters]) -> float:
    """The mean server-side time of the operations in a window; absent where there were too few.

    Housekeeping of drivers and of the set is taken out, at the mean time of its class, the commands.
    """
    operations, microseconds = 0.0, 0.0
    for activity in activities:
        counts = {name: activity.__dict__[name] for name in _CLASSES}
        if any(isinstance(value, Absent) for value in (*counts.values(), activity.__dict__["by_command"])):
            return absent("the server does not report its latencies", "clusterMonitor")  # type: ignore[no-any-return]
        waited_for = max(0, counts["commands"] - activity.housekeeping)
        operations += counts["reads"] + counts["writes"] + waited_for
        microseconds += counts["reads_us"] + counts["writes_us"]
        microseconds += counts["commands_us"] * waited_for / max(1, counts["commands"])
    if operations < LEAST_OPERATIONS:
        return absent(f"fewer than {LEAST_OPERATIONS} operations in the window")  # type: ignore[no-any-return]
    return microseconds / operations / 1000


_CLASSES = ("reads", "reads_us", "writes", "writes_us", "commands", "commands_us")
