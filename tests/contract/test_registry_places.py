"""Workspaces, environments and tokens of every registry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain.errors import Conflict, InUse, NotFound
from tests.contract.registries import Registry
from tests.contract.samples import assign, assignment, at, environment, fill, new_import, new_version, token, workspace

# --- workspaces


def test_put_a_workspace(store: Registry) -> None:
    wanted = workspace("dev", description="Größe 'ä'")
    with store.transaction() as tx:
        assert tx.workspaces.put(wanted) is True
    with store.transaction() as tx:
        assert tx.workspaces.get("dev") == wanted


def test_put_a_workspace_again_keeps_when_it_was_created(store: Registry) -> None:
    with store.transaction() as tx:
        tx.workspaces.put(workspace("dev"))
        changed = workspace("dev", kind="mlflow", url="", description="new", created_at=at(9))
        assert tx.workspaces.put(changed) is False
        assert tx.workspaces.get("dev") == replace(changed, created_at=at(0))
        assert len(tx.workspaces.list()) == 1


def test_list_workspaces(store: Registry) -> None:
    with store.transaction() as tx:
        assert list(tx.workspaces.list()) == []
        for name in ("west", "dev", "east"):
            tx.workspaces.put(workspace(name))
        assert [item.name for item in tx.workspaces.list()] == ["dev", "east", "west"]


@pytest.mark.parametrize("name", ["absent", "DEV", "", "de", "dev "])
def test_no_such_workspace(store: Registry, name: str) -> None:
    with store.transaction() as tx:
        tx.workspaces.put(workspace("dev"))
    for call in ("get", "delete"):
        with pytest.raises(NotFound) as caught, store.transaction() as tx:
            getattr(tx.workspaces, call)(name)
        assert caught.value.where == {"kind": "workspace", "name": name}


def test_delete_a_workspace(store: Registry) -> None:
    with store.transaction() as tx:
        tx.workspaces.put(workspace("dev"))
        tx.workspaces.put(workspace("other"))
        tx.workspaces.delete("dev")
    with store.transaction() as tx:
        assert [item.name for item in tx.workspaces.list()] == ["other"]
        assert tx.workspaces.put(workspace("dev", created_at=at(9))) is True
        assert tx.workspaces.get("dev").created_at == at(9)


def test_a_workspace_with_an_import_stays(store: Registry) -> None:
    with store.transaction() as tx:
        tx.workspaces.put(workspace("dev"))
        tx.imports.add(new_import(workspace="dev"), None)
    with pytest.raises(InUse) as caught, store.transaction() as tx:
        tx.workspaces.delete("dev")
    assert caught.value.where == {"workspace": "dev"}
    with store.transaction() as tx:
        assert tx.workspaces.get("dev").name == "dev"


def test_a_workspace_with_a_model_stays(store: Registry) -> None:
    with store.transaction() as tx:
        tx.workspaces.put(workspace("dev"))
        tx.workspaces.put(workspace("other"))
        tx.models.add_version(new_version(workspace="dev"))
        tx.workspaces.delete("other")
    with pytest.raises(InUse), store.transaction() as tx:
        tx.workspaces.delete("dev")


# --- environments


def test_put_an_environment(store: Registry) -> None:
    wanted = environment("prod", ("Zürich", "Production", "a b"), "text")
    with store.transaction() as tx:
        assert tx.environments.put(wanted) is True
    with store.transaction() as tx:
        assert tx.environments.get("prod") == wanted
        changed = replace(environment("prod", ("One",)), created_at=at(9))
        assert tx.environments.put(changed) is False
        assert tx.environments.get("prod") == replace(changed, created_at=at(0))


def test_list_environments(store: Registry) -> None:
    with store.transaction() as tx:
        assert list(tx.environments.list()) == []
        for name in ("qa", "prod", "test"):
            tx.environments.put(environment(name))
        assert [item.name for item in tx.environments.list()] == ["prod", "qa", "test"]


@pytest.mark.parametrize("name", ["absent", "PROD", ""])
def test_no_such_environment(store: Registry, name: str) -> None:
    fill(store)
    for call in ("get", "delete"):
        with pytest.raises(NotFound) as caught, store.transaction() as tx:
            getattr(tx.environments, call)(name)
        assert caught.value.where == {"kind": "environment", "name": name}


def test_a_stage_in_use_cannot_be_left_out(store: Registry) -> None:
    fill(store, "a")
    with store.transaction() as tx:
        assign(tx, assignment(1, "Production"))
    with pytest.raises(InUse) as caught, store.transaction() as tx:
        tx.environments.put(environment("prod", ("Staging", "production"), "changed"))
    assert caught.value.where == {"field": "stages"}
    assert "Production" in caught.value.detail
    with store.transaction() as tx:
        assert tx.environments.get("prod") == environment("prod")


def test_stages_may_change_around_the_one_in_use(store: Registry) -> None:
    fill(store, "a")
    with store.transaction() as tx:
        tx.environments.put(environment("qa"))
        assign(tx, assignment(1, "Production"))
        assert tx.environments.put(environment("prod", ("New", "Production"))) is False
        assert tx.environments.put(environment("qa", ("Other",))) is False
    with store.transaction() as tx:
        assert tx.environments.get("prod").stages == ("New", "Production")
        assert tx.stages.current("prod", "iris", "Production")[0].version == 1


def test_delete_an_environment(store: Registry) -> None:
    fill(store, "a")
    with store.transaction() as tx:
        tx.environments.put(environment("qa"))
        assign(tx, assignment(1))
        tx.environments.delete("qa")
    with pytest.raises(InUse) as caught, store.transaction() as tx:
        tx.environments.delete("prod")
    assert caught.value.where == {"environment": "prod"}
    with store.transaction() as tx:
        assert [item.name for item in tx.environments.list()] == ["prod"]


# --- tokens


def test_add_and_find_a_token(store: Registry) -> None:
    forever, brief = token("forever"), token("brief", 1, at(60))
    with store.transaction() as tx:
        tx.tokens.add(forever, b"\x00\xff hash")
        tx.tokens.add(brief, b"other")
    with store.transaction() as tx:
        assert tx.tokens.find(b"\x00\xff hash") == forever
        assert tx.tokens.find(b"other") == brief
        assert tx.tokens.find(b"") is None
        assert tx.tokens.find(b"\x00\xff has") is None


def test_get_a_token_by_its_id(store: Registry) -> None:
    one, other = token(), token("other", 1, at(60))
    with store.transaction() as tx:
        tx.tokens.add(one, b"1")
        tx.tokens.add(other, b"2")
        tx.tokens.revoke(other.id, at(10))
    with store.transaction() as tx:
        assert tx.tokens.get(one.id) == one
        assert tx.tokens.get(other.id) == replace(other, revoked_at=at(10))


def test_list_tokens(store: Registry) -> None:
    late, early = token("late", 5), token("early", 1)
    with store.transaction() as tx:
        assert list(tx.tokens.list()) == []
        tx.tokens.add(late, b"1")
        tx.tokens.add(early, b"2")
        assert list(tx.tokens.list()) == [early, late]


def test_a_hash_has_one_token(store: Registry) -> None:
    with store.transaction() as tx:
        tx.tokens.add(token(), b"hash")
    with pytest.raises(Conflict), store.transaction() as tx:
        tx.tokens.add(token(), b"hash")
    with store.transaction() as tx:
        assert len(tx.tokens.list()) == 1


def test_an_id_has_one_token(store: Registry) -> None:
    one = token()
    with store.transaction() as tx:
        tx.tokens.add(one, b"hash")
    with pytest.raises(Conflict), store.transaction() as tx:
        tx.tokens.add(one, b"another")


def test_revoke_a_token(store: Registry) -> None:
    revoked, other = token("revoked"), token("other", 1)
    with store.transaction() as tx:
        tx.tokens.add(revoked, b"1")
        tx.tokens.add(other, b"2")
        assert tx.tokens.revoke(revoked.id, at(10)) == replace(revoked, revoked_at=at(10))
    with store.transaction() as tx:
        assert tx.tokens.revoke(revoked.id, at(20)).revoked_at == at(10)
        assert tx.tokens.find(b"1") == replace(revoked, revoked_at=at(10))
        assert tx.tokens.find(b"2") == other


@pytest.mark.parametrize("name", ["00000000-0000-0000-0000-000000000000", "no id", "", "{}", "ä"])
def test_no_such_token(store: Registry, name: str) -> None:
    with pytest.raises(NotFound) as caught, store.transaction() as tx:
        tx.tokens.revoke(name, at(0))
    assert caught.value.where == {"kind": "token", "name": name}
    with pytest.raises(NotFound) as caught, store.transaction() as tx:
        tx.tokens.get(name)
    assert caught.value.where == {"kind": "token", "name": name}


def test_an_id_is_written_in_one_way(store: Registry) -> None:
    one = replace(token(), id="abcdefab-0000-4000-8000-00000000000a")
    with store.transaction() as tx:
        tx.tokens.add(one, b"1")
    for other in (one.id.upper(), one.id.replace("-", ""), f"{{{one.id}}}", one.id + " "):
        with pytest.raises(NotFound), store.transaction() as tx:
            tx.tokens.revoke(other, at(0))
