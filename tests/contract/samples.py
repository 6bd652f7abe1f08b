"""Records for the tests of the registry, each valid and told apart by what the test names."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from service.domain.environment import Assignment, Environment, Place
from service.domain.history import ChangeKind
from service.domain.identity import Principal, Scope, Token
from service.domain.importing import Import, ImportOptions, ImportState
from service.domain.model import Manifest, ManifestFile
from service.domain.workspace import Workspace
from service.usecases.change_stage import Wanted, change_stage
from service.usecases.model_ports import NewVersion
from service.usecases.ports import RegistryStore, Transaction

STAGES = ("Staging", "Production")


def at(minutes: int) -> datetime:
    return datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC) + timedelta(minutes=minutes)


def workspace(name: str = "dev", **changed: Any) -> Workspace:
    values: dict[str, Any] = {"kind": "databricks", "url": "https://dev.example", "description": "", **changed}
    return Workspace(name, created_at=values.pop("created_at", at(0)), **values)


def environment(name: str = "prod", stages: Sequence[str] = STAGES, description: str = "") -> Environment:
    return Environment(name, tuple(stages), description, at(0))


def token(name: str = "ci", minutes: int = 0, expires_at: datetime | None = None) -> Token:
    scopes = (Scope("import", "dev"), Scope("read", "*"))
    return Token(str(uuid.uuid4()), name, scopes, "admin", at(minutes), expires_at, None)


def new_import(archive: str = "a", workspace: str = "dev", minutes: int = 0, **options: str) -> Import:
    wanted = ImportOptions(**options)
    digest = "sha256:" + hashlib.sha256(archive.encode()).hexdigest()
    return Import(
        id=str(uuid.uuid4()),
        workspace=workspace,
        key=wanted.key(workspace, digest),
        state=ImportState.RECEIVED,
        options=wanted,
        archive_digest=digest,
        archive_size=123,
        created_by="ci",
        created_at=at(minutes),
    )


def manifest(content: str = "a") -> Manifest:
    files = {"model/MLmodel": content, "model/data/weights.bin": content * 3, "model/Größe.txt": "é"}
    return Manifest.of(
        ManifestFile(path, len(text.encode()), hashlib.sha256(text.encode()).hexdigest())
        for path, text in files.items()
    )


def new_version(model: str = "iris", workspace: str = "dev", content: str = "a", **changed: Any) -> NewVersion:
    values: dict[str, Any] = {
        "run_id": "run-1",
        "created_by": "ci",
        "flavors": {"python_function": {"loader_module": "mlflow.sklearn"}},
        "signature": None,
        "lineage": {"workspace": workspace, "original_run_id": "r-1"},
        **changed,
    }
    values.setdefault("manifest", manifest(content))
    return NewVersion(model=model, workspace=workspace, **values)


def exported(original: Mapping[str, int], content: str = "a", **changed: Any) -> NewVersion:
    """A version that was exported as the number `original` gives for a model's name."""
    ((model, number),) = original.items()
    return new_version(
        changed.pop("model", model),
        content=content,
        number=number,
        original_model=model,
        original_version=str(number),
        **changed,
    )


def assignment(
    version: int, stage: str = "Production", model: str = "iris", environment: str = "prod", minutes: int = 0
) -> Assignment:
    """As a use case asks for it: without digest and revision."""
    return Assignment(environment, model, stage, version, "", 0, "ci", at(minutes), f"version {version}")


def assign(tx: Transaction, wanted: Assignment) -> Assignment:
    """Whatever policies say; answers with what is current then."""
    place = Place(wanted.environment, wanted.model, wanted.stage)
    tx.stages.lock([place])
    version = tx.models.version(wanted.model, wanted.version)
    last = tx.stages.last(place)
    if last is None or last.version != version.version:
        name = wanted.assigned_by
        put = Wanted(version.version, version.digest, ChangeKind.PROMOTION, name, "", wanted.comment)
        change_stage(tx, Principal("", name, ()), wanted.assigned_at, place, last, put)
    return tx.stages.current(*place)[0]


def fill(store: RegistryStore, *contents: str) -> None:
    """The workspace dev, the environment prod, and the model iris with a version for each of the contents."""
    with store.transaction() as tx:
        tx.workspaces.put(workspace())
        tx.environments.put(environment())
        for content in contents:
            tx.models.add_version(new_version(content=content))
