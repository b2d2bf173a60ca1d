"""Pods, summed up by the workload that they belong to while their pages come in; none is kept."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from typing import Any

from readiness.facts.base import ABSENT
from readiness.facts.kubernetes import Pods
from readiness.probes.kubernetes_read import conditions, entries, holds, mapping, moment, name_of, number, text
from readiness.probes.kubernetes_workloads import trimmed

Key = tuple[str, str]
"""Kind and name of a workload."""

_STUCK = frozenset({
    "CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull",
    "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
})  # fmt: skip
_DAY = 86_400.0
_MOST_DIGESTS = 20


class Tallies:
    """All pods of a namespace, by their workload."""

    def __init__(self, now: dt.datetime) -> None:
        self._now = now
        self._found: dict[Key, Tally] = {}

    def take(self, pod: Mapping[str, Any]) -> None:
        """Counts one pod, unless it has ended, is being deleted, or belongs to nothing that keeps it running."""
        if mapping(pod, "status").get("phase") in ("Succeeded", "Failed"):
            return
        if mapping(pod, "metadata").get("deletionTimestamp") is None and (key := owner(pod)) is not None:
            self._found.setdefault(key, Tally()).add(pod, self._now)

    def of(self, key: Key) -> Tally:
        return self._found.get(key) or Tally()


def owner(pod: Mapping[str, Any]) -> Key | None:
    """The workload of a pod. A Deployment stands behind a ReplicaSet that is named after it and the template's hash."""
    metadata = mapping(pod, "metadata")
    for each in entries(metadata, "ownerReferences"):
        kind, name = text(each.get("kind"), 60), text(each.get("name"))
        if each.get("controller") is True and kind == "ReplicaSet":
            suffix = "-" + text(mapping(metadata, "labels").get("pod-template-hash"), 60)
            return ("Deployment", name.removesuffix(suffix)) if len(suffix) > 1 and name.endswith(suffix) else None
        if each.get("controller") is True and kind in ("StatefulSet", "DaemonSet"):
            return kind, name
    return None


class Tally:
    """The pods of one workload so far. `spec` is the specification of the newest."""

    __slots__ = ("digests", "kills", "latest_kill", "longest", "newest", "nodes", "ready", "restarts", "spec", "stuck",
                 "total", "waiting")  # fmt: skip

    def __init__(self) -> None:
        self.total = self.ready = self.kills = self.waiting = 0
        self.nodes: Counter[str] = Counter()
        self.longest: tuple[float, str] = (0.0, "")
        self.restarts: tuple[float, int, str] = (0.0, 0, "")
        self.latest_kill: float | None = None
        self.stuck: Counter[str] = Counter()
        self.digests: dict[str, set[str]] = {}
        self.newest = ""
        self.spec: Mapping[str, Any] = {}

    def add(self, pod: Mapping[str, Any], now: dt.datetime) -> None:
        status, created = mapping(pod, "status"), text(mapping(pod, "metadata").get("creationTimestamp"), 40)
        born = moment(created)
        age = max((now - born).total_seconds(), 0.0) if born is not None else 0.0
        known = conditions(status)
        self.total += 1
        self.ready += holds(known.get("Ready")) is True
        if node := text(mapping(pod, "spec").get("nodeName")):
            self.nodes[node] += 1
        if status.get("phase") == "Pending":
            placed = known.get("PodScheduled", {})
            why = "" if holds(placed) else text(placed.get("message"), 120) or text(placed.get("reason"), 60)
            self.waiting += 1
            self.longest = max(self.longest, (age / 60, why))
        # Times are written alike, so that they sort as they stand.
        if not self.spec or created > self.newest:
            self.newest, self.spec = created, trimmed(mapping(pod, "spec"))
        self._containers(name_of(pod), status, age / _DAY, now)

    def _containers(self, pod: str, status: Mapping[str, Any], days: float, now: dt.datetime) -> None:
        restarts = 0
        for container in (*entries(status, "containerStatuses"), *entries(status, "initContainerStatuses")):
            restarts += number(container.get("restartCount"))
            reason = text(mapping(container, "state", "waiting").get("reason"), 60)
            if reason in _STUCK:
                self.stuck[reason] += 1
            for state in ("lastState", "state"):
                self._ended(mapping(container, state, "terminated"), now)
        for container in entries(status, "containerStatuses"):
            _, known, digest = text(container.get("imageID"), 300).rpartition("sha256:")
            digests = self.digests.setdefault(text(container.get("name")), set())
            if known and len(digests) < _MOST_DIGESTS:
                digests.add(digest[:64])
        self.restarts = max(self.restarts, (restarts / max(days, 1.0), restarts, pod))

    def _ended(self, ended: Mapping[str, Any], now: dt.datetime) -> None:
        if ended.get("reason") != "OOMKilled":
            return
        self.kills += 1
        if (since := moment(ended.get("finishedAt"))) is not None:
            hours = max((now - since).total_seconds() / 3600, 0.0)
            self.latest_kill = hours if self.latest_kill is None else min(hours, self.latest_kill)

    def facts(self) -> Pods:
        node, most = self.nodes.most_common(1)[0] if self.nodes else ("", 0)
        a_day, restarts, name = self.restarts
        return Pods(
            total=self.total,
            ready=self.ready,
            nodes=len(self.nodes),
            busiest_node=node,
            on_busiest_node=most,
            waiting=self.waiting,
            waiting_minutes=round(self.longest[0], 1),
            waiting_for=self.longest[1],
            restarts=restarts,
            restarts_per_day=round(a_day, 2),
            restarting=name if restarts else "",
            out_of_memory=self.kills,
            out_of_memory_hours=ABSENT if self.latest_kill is None else round(self.latest_kill, 1),
            stuck=dict(self.stuck),
            image_ids={name: len(digests) for name, digests in self.digests.items() if digests},
        )
