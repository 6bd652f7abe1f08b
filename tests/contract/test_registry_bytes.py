"""What every registry remembers of stored bytes: damages, and the digests of tars."""

from __future__ import annotations

import pytest

from service.usecases.bytes_ports import Damage
from tests.contract.registries import Registry
from tests.contract.samples import at, fill, manifest

A, B = manifest("a"), manifest("b")


@pytest.fixture(autouse=True)
def _versions(store: Registry) -> None:
    fill(store, "a", "b")


def test_damages(store: Registry) -> None:
    with store.transaction() as tx:
        assert tx.damages.of(A.digest) == []
        assert tx.damages.mark(A.digest, "b/model.pkl", "It is missing.", at(1))
        assert tx.damages.mark(A.digest, "MLmodel", "It is another one.", at(2))
        assert tx.damages.mark(B.digest, "MLmodel", "It is missing.", at(3))
    with store.transaction() as tx:
        assert not tx.damages.mark(A.digest, "MLmodel", "It is missing.", at(4)), "the first mark stays"
        assert tx.damages.of(A.digest) == [
            Damage(A.digest, "MLmodel", "It is another one.", at(2)),
            Damage(A.digest, "b/model.pkl", "It is missing.", at(1)),
        ]
    with store.transaction() as tx:
        assert tx.damages.clear(A.digest, at(2))
        assert [item.path for item in tx.damages.of(A.digest)] == ["MLmodel"]
        assert not tx.damages.clear(A.digest, at(2)), "it is as old as that, not older"
        assert not tx.damages.clear(A.digest, at(9), but=["MLmodel", "other"])
        assert tx.damages.clear(A.digest, at(9), but=["other"])
        assert not tx.damages.clear(A.digest, at(9))
        assert tx.damages.of(A.digest) == []
        assert [item.path for item in tx.damages.of(B.digest)] == ["MLmodel"]


def test_digests_of_tars(store: Registry) -> None:
    with store.transaction() as tx:
        assert tx.tars.sha256(A.digest) == ""
        tx.tars.keep(A.digest, "1" * 64)
    with store.transaction() as tx:
        tx.tars.keep(A.digest, "2" * 64)
        assert (tx.tars.sha256(A.digest), tx.tars.sha256(B.digest)) == ("1" * 64, "")


def test_of_a_digest_that_is_not_there_nothing_is_kept(store: Registry) -> None:
    gone = "sha256:" + "0" * 64
    with store.transaction() as tx:
        assert not tx.damages.mark(gone, "MLmodel", "It is missing.", at(1))
        tx.tars.keep(gone, "1" * 64)
        assert (tx.damages.of(gone), tx.tars.sha256(gone)) == ([], "")


def test_all_of_it_goes_with_the_digest(store: Registry) -> None:
    with store.transaction() as tx:
        for digest in (A.digest, B.digest):
            tx.damages.mark(digest, "MLmodel", "It is missing.", at(1))
            tx.tars.keep(digest, "1" * 64)
    store.remove_version("iris", 1)
    with store.transaction() as tx:
        tx.garbage.mark(at(2), at(2))
        assert tx.garbage.remove(A.digest, at(3), at(3), at(3))
        assert (tx.damages.of(A.digest), tx.tars.sha256(A.digest)) == ([], "")
        assert (len(tx.damages.of(B.digest)), tx.tars.sha256(B.digest)) == (1, "1" * 64)
