"""Components that exist on demand: which of them there are in this audit, and which of their checks have a subject.

The others are always there, configured or not. One that exists on demand has no row, costs no coverage and puts no
check on any list until there is something to judge, or somebody asks for it by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from readiness.facts.base import Facts, maybe
from readiness.facts.collected import Collected, Collection, Outcome
from readiness.facts.kubernetes import KubernetesFacts
from readiness.facts.mongodb import MongoFacts
from readiness.judge import Judged
from readiness.model import ON_DEMAND
from readiness.settings import Settings
from readiness.spec import CheckSpec

SCALABILITY = "scalability"
KUBERNETES = "kubernetes.namespace or kubernetes.context or kubernetes.kubeconfig"
"""The keys each of which configures a cluster."""


@dataclass(frozen=True, slots=True)
class Demand:
    """The ids in `ON_DEMAND` that have a subject, and those that have none but were asked for by name."""

    with_subject: frozenset[str]
    asked_for: frozenset[str]

    @property
    def present(self) -> frozenset[str]:
        """Those that have a row in the table."""
        return self.with_subject | self.asked_for


def demand(collection: Collection, settings: Settings, only: Iterable[str] = ()) -> Demand:
    """Scalability has a subject where a cluster is configured, readable or not, and where MongoDB is a mongos.

    Asked for is what a gate, the configuration of a component or a pattern of --only names.
    """
    mongo, kubernetes = _of(collection, MongoFacts).facts, _of(collection, KubernetesFacts)
    sharded = isinstance(mongo, MongoFacts) and maybe(lambda: mongo.topology) == "mongos"
    subject = sharded or settings.given(KUBERNETES) or kubernetes.outcome is not Outcome.NOT_CONFIGURED
    found = frozenset({SCALABILITY} if subject else ())
    named = {*settings.gate.components, *settings.components, *(pattern.partition(".")[0] for pattern in only)}
    return Demand(found, frozenset(named.intersection(ON_DEMAND) - found))


def relevant(judged: Sequence[Judged], collection: Collection, demand: Demand) -> list[Judged]:
    """Without the checks of components that do not take part, and without those whose own system is not configured.

    Where all that was selected of a component has no subject, it stays and says what it needs. So do, of a component
    that was only asked for, the checks without a subject.
    """
    subject = {entry.spec.id: _has_subject(entry.spec, collection) for entry in judged}
    fruitful = {entry.spec.component for entry in judged if subject[entry.spec.id]}

    def stays(entry: Judged) -> bool:
        component = entry.spec.component
        if component not in ON_DEMAND:
            return True
        if component in demand.with_subject:
            return subject[entry.spec.id] or component not in fruitful
        return component in demand.asked_for and not subject[entry.spec.id]

    return [entry for entry in judged if stays(entry)]


def _has_subject(spec: CheckSpec, collection: Collection) -> bool:
    return all(
        wanted.optional or not issubclass(wanted.type, Facts) or _configured(collection, wanted.type)
        for wanted in spec.inputs.values()
    )


def _configured(collection: Collection, facts: type[Facts]) -> bool:
    return _of(collection, facts).outcome is not Outcome.NOT_CONFIGURED


def _of(collection: Collection, facts: type[Facts]) -> Collected:
    return collection.get(facts) or Collected(Outcome.NOT_CONFIGURED)
