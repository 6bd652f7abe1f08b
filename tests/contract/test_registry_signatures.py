"""Signatures of every registry."""

from __future__ import annotations

import pytest

from service.domain.errors import NotFound
from service.domain.signature import Signature, SigningKey
from tests.contract.registries import Registry
from tests.contract.samples import at, fill, manifest

A, B = manifest("a").digest, manifest("b").digest


@pytest.fixture(autouse=True)
def _versions(store: Registry) -> None:
    fill(store, "a", "b")


def signature(digest: str = A, key: str = "1", minutes: int = 0) -> Signature:
    return Signature(digest, key, {"z": [1, {"a": None}], "ü": "☃"}, at(minutes))


def keep(store: Registry, *signatures: Signature) -> None:
    with store.transaction() as tx:
        for each in signatures:
            tx.signatures.keep(each, f"PEM {each.key_id}")


def of(store: Registry, digest: str = A, key: str = "") -> Signature:
    with store.transaction() as tx:
        return tx.signatures.of(digest, key)


def test_the_last_one_or_that_of_a_key(store: Registry) -> None:
    old, new = signature(), signature(key="2", minutes=5)
    keep(store, new, old)
    assert (of(store), of(store, key="1"), of(store, key="2")) == (new, old, new)
    with store.transaction() as tx:
        assert list(tx.signatures.all(A)) == [new, old]
        assert list(tx.signatures.all(B)) == []
    for digest, key in ((A, "3"), (B, ""), (B, "1")):
        with pytest.raises(NotFound, match="signed"):
            of(store, digest, key)


def test_a_key_signs_once(store: Registry) -> None:
    keep(store, signature(), signature(minutes=5))
    assert of(store) == signature()


def test_what_nobody_has_signed(store: Registry) -> None:
    first, second = sorted((A, B))
    with store.transaction() as tx:
        assert tx.signatures.unsigned(10, "") == [first, second]
        assert (tx.signatures.unsigned(1, ""), tx.signatures.unsigned(10, first)) == ([first], [second])
    keep(store, signature(first))
    with store.transaction() as tx:
        assert tx.signatures.unsigned(10, "") == [second]


def test_keys_stay(store: Registry) -> None:
    keep(store, signature(minutes=1), signature(B, minutes=0), signature(key="2", minutes=2))
    store.remove_version("iris", 1)
    store.remove_version("iris", 2)
    with store.transaction() as tx:
        tx.garbage.mark(at(9), at(9))
        assert tx.garbage.remove(A, at(9), at(9), at(9))
    with pytest.raises(NotFound):
        of(store)
    with store.transaction() as tx:
        assert tx.signatures.keys() == [SigningKey("2", "PEM 2", at(2)), SigningKey("1", "PEM 1", at(1))]
