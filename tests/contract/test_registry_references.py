"""Which folders of the bucket the rows of every registry refer to."""

from __future__ import annotations

from datetime import datetime

import pytest

from service.domain.importing import ARCHIVE_KEPT, ImportState
from service.domain.layout import artifact_uri, logged_model_path, pending_prefix, run_path, version_prefix
from service.usecases.model_ports import RunInfo
from tests.contract.registries import Registry
from tests.contract.samples import at, fill, new_import, new_version

RUN = "0123456789abcdef" * 2
OTHER = RUN[::-1]
NOW = at(0)


@pytest.fixture(autouse=True)
def _workspaces(store: Registry) -> None:
    fill(store)


def unused(store: Registry, *folders: str, now: datetime = NOW) -> list[str]:
    with store.transaction() as tx:
        return list(tx.references.unused(folders, now))


@pytest.mark.parametrize("state", list(ImportState))
def test_archives(store: Registry, state: ImportState) -> None:
    new = new_import()
    with store.transaction() as tx:
        tx.imports.add(new, None)
        if state is not ImportState.RECEIVED:
            tx.imports.start(new.id, at(1))
        if state.final:
            tx.imports.finish(new.id, state, at(2))
    read_again = not state.final or state is ImportState.FAILED
    mine, absent = f"imports/{new.id}/", f"imports/{RUN}/"
    assert unused(store, mine, absent) == [absent] if read_again else [mine, absent]


def failed(store: Registry, archive: str) -> str:
    new = new_import(archive)
    with store.transaction() as tx:
        tx.imports.add(new, None)
        tx.imports.finish(new.id, ImportState.FAILED, at(2))
    return new.id


def test_archives_of_what_failed_long_ago(store: Registry) -> None:
    mine = f"imports/{failed(store, 'a')}/"
    assert unused(store, mine, now=at(2) + ARCHIVE_KEPT) == []
    assert unused(store, mine, now=at(3) + ARCHIVE_KEPT) == [mine]


def test_archives_that_were_sent_again(store: Registry) -> None:
    mine, others = (f"imports/{failed(store, name)}/" for name in "ab")
    again = new_import("a", minutes=3)
    with store.transaction() as tx:
        tx.imports.add(again, None)
    assert unused(store, mine, others) == [], "it may yet fail, and this one be tried again"
    with store.transaction() as tx:
        tx.imports.finish(again.id, ImportState.DONE, at(4))
    assert unused(store, mine, others) == [mine]


def test_versions(store: Registry) -> None:
    with store.transaction() as tx:
        digest = tx.models.add_version(new_version()).digest
    absent = version_prefix("sha256:" + "0" * 64)
    assert unused(store, version_prefix(digest), absent, pending_prefix("a")) == [absent, pending_prefix("a")]


def test_artifacts(store: Registry) -> None:
    """A run counts where it keeps its artifacts, which is not below another workspace."""
    store.add_run(RunInfo(RUN, "1", "", artifact_uri(run_path("dev", RUN)), {}))
    store.add_logged_model(RUN, "model", artifact_uri(logged_model_path("dev", "m-1")))
    mine = [f"mlflow/workspaces/dev/{RUN}/", "mlflow/workspaces/dev/models/m-1/"]
    absent = [
        f"mlflow/workspaces/dev/{OTHER}/",
        f"mlflow/workspaces/other/{RUN}/",
        "mlflow/workspaces/dev/models/m-2/",
    ]
    assert unused(store, *mine, *absent) == absent


def test_traces(store: Registry) -> None:
    """A trace counts by its id alone: where it keeps its artifacts is a tag, which any client may set."""
    store.add_trace("tr-1")
    mine = ["mlflow/workspaces/dev/traces/tr-1/", "mlflow/workspaces/other/traces/tr-1/"]
    absent = ["mlflow/workspaces/dev/traces/tr-2/"]
    assert unused(store, *mine, *absent) == absent


def test_what_is_not_ours_is_left(store: Registry) -> None:
    assert unused(store, "mlflow/1/", "mlflow/workspaces/dev/traces/", f"other/{RUN}/", "models/") == []
