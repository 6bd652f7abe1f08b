"""Lists of imports in every registry, page by page."""

from __future__ import annotations

import pytest

from service.domain.importing import Import
from tests.contract.registries import Registry
from tests.contract.samples import fill, new_import, workspace


@pytest.fixture(autouse=True)
def _workspaces(store: Registry) -> None:
    fill(store)
    with store.transaction() as tx:
        tx.workspaces.put(workspace("other"))


def add(store: Registry, new: Import) -> Import:
    with store.transaction() as tx:
        return tx.imports.add(new, None)


def test_list_newest_first(store: Registry) -> None:
    with store.transaction() as tx:
        assert list(tx.imports.list(None, 10, None)) == []
    old, new, elsewhere = new_import("a"), new_import("b", minutes=2), new_import("c", "other", minutes=1)
    for each in (new, old, elsewhere):
        add(store, each)
    with store.transaction() as tx:
        assert list(tx.imports.list(None, 10, None)) == [new, elsewhere, old]
        assert list(tx.imports.list("dev", 10, None)) == [new, old]
        assert list(tx.imports.list("other", 10, None)) == [elsewhere]
        assert list(tx.imports.list("absent", 10, None)) == []
        assert list(tx.imports.list(None, 2, None)) == [new, elsewhere]
        assert list(tx.imports.list(None, 0, None)) == []


def test_list_page_by_page(store: Registry) -> None:
    """Also among those of the same moment."""
    added = [add(store, new_import(str(number), minutes=number // 3)) for number in range(8)]
    pages: list[list[Import]] = []
    with store.transaction() as tx:
        before = None
        while page := list(tx.imports.list("dev", 3, before)):
            pages.append(page)
            before = page[-1].id
    assert [len(page) for page in pages] == [3, 3, 2]
    assert [each for page in pages for each in page] == sorted(
        added, key=lambda each: (each.created_at, each.id), reverse=True
    )


def test_new_imports_do_not_shift_the_pages(store: Registry) -> None:
    added = [add(store, new_import(str(number), minutes=number)) for number in range(4)]
    with store.transaction() as tx:
        first = list(tx.imports.list(None, 2, None))
    add(store, new_import("later", minutes=9))
    with store.transaction() as tx:
        second = list(tx.imports.list(None, 2, first[-1].id))
    assert [*first, *second] == added[::-1]
