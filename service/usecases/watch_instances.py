"""Instances of a stage: what they say they run, and how that compares with what the stage hands out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from service.domain.environment import Assignment, Place
from service.domain.errors import NotFound
from service.domain.identity import Principal
from service.domain.instance import Drift, Instance, check_instance_id, drift
from service.usecases.ports import Clock, RegistryStore, Transaction

MOST = 10_000
"""Instances of one stage."""
REMEMBERED = timedelta(days=1)
"""How long an instance is shown as expired."""


@dataclass(frozen=True)
class Seen:
    """`current` is None when the stage is empty; `counts` are of all instances, `instances` one page of them."""

    current: Assignment | None
    counts: Mapping[Drift, int]
    instances: Sequence[tuple[Instance, Drift]]


def report_instance(
    store: RegistryStore, clock: Clock, by: Principal, place: Place, instance_id: str, digest: str, lease: timedelta
) -> tuple[Instance, Drift, Assignment | None]:
    """Believe for the time of the lease that the instance runs these bytes. No change of the registry: not recorded.

    Raises NotFound for an environment, stage or model that is not there, Conflict when the stage has MOST instances.
    """
    check_instance_id(instance_id)
    now = clock()
    said = Instance(place, instance_id, digest, now, now, now + lease, by.name)
    with store.transaction() as tx:
        current = _current(tx, place)
        kept = tx.instances.report(said, MOST)
    return kept, kept.drift(_digest(current), now), current


def see_instances(store: RegistryStore, clock: Clock, place: Place, limit: int, after: str) -> Seen:
    """Raises NotFound for an environment, stage or model that is not there."""
    now = clock()
    with store.transaction() as tx:
        current = _current(tx, place)
        found = tx.instances.list(place, limit, after)
        counted = tx.instances.counts(place, now)
    counts = dict.fromkeys(Drift, 0)
    for each in counted:
        counts[drift(each.digest, each.version, _digest(current), expired=each.expired)] += each.count
    return Seen(current, counts, [(instance, instance.drift(_digest(current), now)) for instance in found])


def remove_instance(store: RegistryStore, place: Place, instance_id: str) -> None:
    """Raises NotFound, of kind "instance" for one that is not there."""
    with store.transaction() as tx:
        tx.environments.get(place.environment)
        tx.instances.delete(place, instance_id)


def forget_instances(store: RegistryStore, clock: Clock) -> int:
    """Delete those that have been expired for REMEMBERED; answers with how many."""
    with store.transaction() as tx:
        return tx.instances.forget(clock() - REMEMBERED)


def _current(tx: Transaction, place: Place) -> Assignment | None:
    try:
        return tx.stages.current(*place)[0]
    except NotFound as error:
        if error.where["kind"] != "assignment":
            raise
        return None


def _digest(current: Assignment | None) -> str | None:
    return None if current is None else current.digest
