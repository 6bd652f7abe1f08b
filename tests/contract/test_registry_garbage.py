"""What every registry says is needed, claimed and verified."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace

import pytest

from service.domain.environment import Place
from service.domain.instance import Instance
from service.domain.layout import version_prefix
from service.domain.model import ManifestFile
from service.domain.promotion import Promotion, PromotionState
from service.usecases.garbage_ports import Unneeded
from tests.contract.registries import Registry
from tests.contract.samples import assign, assignment, at, fill, manifest, new_import, new_version
from tests.contract.test_registry_promotions import asked

A, B = manifest("a"), manifest("b")
PRODUCTION = Place("prod", "iris", "Production")
LONG_AGO = at(-1000)


@pytest.fixture(autouse=True)
def _versions(store: Registry) -> None:
    fill(store, "a", "b")


def unneeded(store: Registry, minutes: int = 0, since: int = -1000) -> list[str]:
    with store.transaction() as tx:
        return [each.digest for each in tx.garbage.unneeded(at(minutes), at(since))]


def mark(store: Registry, minutes: int, since: int = -1000) -> dict[str, object]:
    with store.transaction() as tx:
        tx.garbage.mark(at(minutes), at(since))
        return {each.digest: each.marked_at for each in tx.garbage.unneeded(at(minutes), at(since))}


def remove(store: Registry, minutes: int, before: int, since: int = -1000, digest: str = A.digest) -> bool:
    with store.transaction() as tx:
        return tx.garbage.remove(digest, at(minutes), at(since), at(before))


def test_a_version_needs_its_bytes(store: Registry) -> None:
    with store.transaction() as tx:
        tx.models.add_version(new_version(content="a", model="other"))
    assert unneeded(store) == []
    store.remove_version("iris", 1)
    assert unneeded(store) == []
    store.remove_version("other", 1)
    with store.transaction() as tx:
        assert tx.garbage.unneeded(at(0), at(0)) == [Unneeded(A.digest, 3, A.size, None)]


def test_a_rollback_needs_what_a_stage_held(store: Registry) -> None:
    with store.transaction() as tx:
        assign(tx, assignment(1, minutes=0))
        assign(tx, assignment(2, minutes=10))
    store.remove_version("iris", 1)
    assert unneeded(store, 100, since=10) == []  # until then it was held
    assert unneeded(store, 100, since=11) == [A.digest]


def test_a_promotion_that_waits_needs_its_bytes(store: Registry) -> None:
    promotion = asked()
    with store.transaction() as tx:
        tx.promotions.add(promotion)
    store.remove_version("iris", 1)
    assert unneeded(store) == []
    with store.transaction() as tx:
        tx.promotions.decide(decided(promotion))
    assert unneeded(store) == [A.digest]


def decided(promotion: Promotion) -> Promotion:
    return Promotion(**{**vars(promotion), "state": PromotionState.REJECTED, "decided_at": at(5)})


def test_a_lease_needs_its_bytes(store: Registry) -> None:
    with store.transaction() as tx:
        tx.instances.report(Instance(PRODUCTION, "pod-1", A.digest, at(0), at(0), at(5), "ci"), 10)
    store.remove_version("iris", 1)
    assert unneeded(store, 4) == []
    assert unneeded(store, 5) == [A.digest]


def test_a_claim_needs_its_bytes(store: Registry) -> None:
    store.remove_version("iris", 1)
    with store.transaction() as tx:
        tx.claims.claim("a", [version_prefix(A.digest), "models/pending/x/"], at(5))
    assert unneeded(store, 4) == []
    assert unneeded(store, 5) == [A.digest]
    with store.transaction() as tx:
        tx.claims.claim("a", [version_prefix(A.digest)], at(9))  # for longer
    assert unneeded(store, 8) == []
    with store.transaction() as tx:
        tx.claims.release("a")
    assert unneeded(store, 4) == [A.digest]


def test_an_import_that_runs_keeps_its_claims(store: Registry) -> None:
    store.remove_version("iris", 1)
    new = new_import()
    with store.transaction() as tx:
        tx.imports.add(new, None)
        tx.imports.start(new.id, at(1))
        tx.claims.claim(new.id, [version_prefix(A.digest)], at(2))
    assert unneeded(store, 500) == []
    assert mark(store, 500) == {}
    assert unneeded(store, 500) == []
    with store.transaction() as tx:
        tx.imports.finish(new.id, new.state.FAILED, at(501))
    assert unneeded(store, 500) == [A.digest]


def test_marks_tell_since_when(store: Registry) -> None:
    store.remove_version("iris", 1)
    assert mark(store, 0) == {A.digest: at(0)}
    store.remove_version("iris", 2)
    assert mark(store, 5) == {A.digest: at(0), B.digest: at(5)}
    with store.transaction() as tx:
        number = tx.models.add_version(new_version(content="a")).version
    assert mark(store, 6) == {B.digest: at(5)}
    store.remove_version("iris", number)
    assert mark(store, 7) == {A.digest: at(7), B.digest: at(5)}


def test_a_claim_takes_the_mark_away(store: Registry) -> None:
    store.remove_version("iris", 1)
    mark(store, 0)
    with store.transaction() as tx:
        tx.claims.claim("a", [version_prefix(A.digest)], at(1))
        tx.claims.release("a")
    assert not remove(store, 10, before=10)
    assert mark(store, 11) == {A.digest: at(11)}
    assert remove(store, 12, before=11)


def test_what_is_removed(store: Registry) -> None:
    store.remove_version("iris", 1)
    assert not remove(store, 9, before=9)  # no mark
    mark(store, 5)
    assert not remove(store, 9, before=4)  # too young
    assert not remove(store, 9, before=5, digest=B.digest)
    assert remove(store, 9, before=5)
    assert not remove(store, 9, before=5)
    with store.transaction() as tx:
        assert (tx.models.has_manifest(A.digest), tx.models.has_manifest(B.digest)) == (False, True)


def test_it_is_looked_at_again_when_it_is_removed(store: Registry) -> None:
    store.remove_version("iris", 1)
    mark(store, 5)
    with store.transaction() as tx:
        tx.models.add_version(new_version(content="a"))
    assert not remove(store, 9, before=5)
    with store.transaction() as tx:
        assert tx.models.has_manifest(A.digest)


@pytest.mark.parametrize("how", ["claimed", "added without a claim", "leased"])
def test_it_waits_for_who_wants_the_same_bytes(store: Registry, how: str) -> None:
    leased = Instance(PRODUCTION, "pod-1", A.digest, at(0), at(0), at(1), "ci")
    with store.transaction() as tx:
        tx.instances.report(leased, 10)
    store.remove_version("iris", 1)
    mark(store, 5)
    found: list[bool] = []
    other = threading.Thread(target=lambda: found.append(remove(store, 9, before=5)))
    with store.transaction() as tx:
        if how == "claimed":
            tx.claims.claim("a", [version_prefix(A.digest)], at(60))
        elif how == "leased":
            tx.instances.report(replace(leased, lease_end=at(60)), 10)
        else:
            tx.models.add_version(new_version(content="a"))
        other.start()
        other.join(0.5)
        assert (found, other.is_alive()) == ([], True)
    other.join(10)
    assert found == [False]


def test_who_wants_the_same_bytes_waits_for_it(store: Registry) -> None:
    store.remove_version("iris", 1)
    mark(store, 5)

    def want() -> None:
        with store.transaction() as tx:
            tx.claims.claim("a", [version_prefix(A.digest)], at(60))
        with store.transaction() as tx:
            found.append(tx.models.has_manifest(A.digest))

    found: list[bool] = []
    other = threading.Thread(target=want)
    with store.transaction() as tx:
        assert tx.garbage.remove(A.digest, at(9), LONG_AGO, at(5))
        other.start()
        other.join(0.5)
        assert found == []
    other.join(10)
    assert found == [False]


def test_what_is_due_for_a_check(store: Registry) -> None:
    first, second = sorted((A.digest, B.digest))

    def due(minutes: int, limit: int = 10, after: str = "") -> list[str]:
        with store.transaction() as tx:
            return list(tx.checks.due(at(minutes), limit, after))

    assert due(0) == [first, second]
    assert (due(0, limit=1), due(0, after=first)) == ([first], [second])
    with store.transaction() as tx:
        tx.checks.checked(first, at(5))
        tx.checks.checked("sha256:" + "0" * 64, at(5))
    assert due(5) == [second]
    assert due(6) == [first, second]


def test_who_has_these_bytes(store: Registry) -> None:
    with store.transaction() as tx:
        tx.models.add_version(new_version(content="a", model="b"))
        tx.models.add_version(new_version(content="a"))
        assert tx.checks.versions(A.digest) == [("b", 1), ("iris", 1), ("iris", 3)]
        assert tx.checks.versions("sha256:" + "0" * 64) == []


def test_bytes_of_no_files(store: Registry) -> None:
    """A manifest of nothing is one, too."""
    with store.transaction() as tx:
        wanted = new_version(model="empty", manifest=type(A).of(list[ManifestFile]()))
        digest = tx.models.add_version(wanted).digest
    store.remove_version("empty", 1)
    assert unneeded(store) == [digest]


def test_claims_of_nobody_are_forgotten(store: Registry) -> None:
    folder = f"models/pending/{uuid.uuid4()}/"
    with store.transaction() as tx:
        tx.claims.claim("a", [folder], at(5))
        tx.garbage.mark(at(4), LONG_AGO)
        assert tx.references.unused([folder], at(4)) == []
        tx.garbage.mark(at(5), LONG_AGO)
        assert tx.references.unused([folder], at(0)) == [folder]


def test_a_deleted_version_keeps_its_number(store: Registry) -> None:
    with store.transaction() as tx:
        tx.models.delete_version("iris", 2, "admin", at(0))
    mark(store, 5)
    assert remove(store, 6, before=5, digest=B.digest)
    with store.transaction() as tx:
        again = tx.models.add_version(new_version(content="b"))
        assert (again.version, again.digest) == (3, B.digest)
        assert tx.models.has_manifest(B.digest)
        assert tx.checks.versions(B.digest) == [("iris", 3)]
