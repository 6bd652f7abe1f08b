"""Register a version for an MLflow client: it has a number at once, and its bytes when they are frozen."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from service.domain.errors import ConcurrentChange, InvalidInput, NotFound, RegistryError, Unavailable
from service.domain.identity import Principal, Scope
from service.domain.layout import version_prefix
from service.domain.model import Lineage, Manifest
from service.domain.names import check_model_name
from service.exports.mlmodel import MLmodel
from service.usecases.claim_folders import claim
from service.usecases.find_source import files_in, find_source
from service.usecases.object_ports import ObjectStore
from service.usecases.ports import Clock, RegistryStore, Transaction
from service.usecases.record_change import record
from service.usecases.register_version import files_below, frozen, mlmodel_of, version_registered
from service.usecases.registration_ports import NewRegistration, Registration
from service.usecases.sign_versions import sign
from service.usecases.signing_ports import Signer

log = logging.getLogger(__name__)

SMALL_BYTES = 32 * 1024 * 1024
SMALL_FILES = 200
"""Up to both a client is not made to wait for the worker."""
PATIENCE = 60
"""Seconds after which the worker looks at what a request wanted to finish itself."""


@dataclass(frozen=True)
class VersionRequest:
    """As the client says it; the run and the logged model may be ''."""

    model: str
    source: str
    run_id: str = ""
    model_id: str = ""
    description: str = ""
    run_link: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def request_version(
    store: RegistryStore,
    objects: ObjectStore,
    clock: Clock,
    by: Principal,
    asked: VersionRequest,
    signer: Signer | None = None,
) -> int:
    """The number of the new version, which is READY already when its files are few and small.

    Raises InvalidInput or NotFound for a source that is not here, NotFound for a model that is not registered,
    NotAllowed when the model's name is a workspace's that the caller may not import for.
    """
    check_model_name(asked.model)
    with store.transaction() as tx:
        workspace = _owner(tx, by, asked.model)
        found = find_source(tx, by, asked.source, asked.run_id, asked.model_id)
    folder, files = files_in(objects, found)
    small = len(files) <= SMALL_FILES and sum(info.size for info in files) <= SMALL_BYTES
    with store.transaction() as tx:
        _owner(tx, by, asked.model)
        begun = tx.registrations.begin(
            NewRegistration(
                model=asked.model,
                workspace=workspace,
                source=asked.source,
                folder=folder,
                digest=found.digest,
                run_id=found.run_id,
                actor=by.name,
                actor_id=by.token_id,
                request_id=by.request_id,
                lineage={**asdict(Lineage()), **found.lineage},
                description=asked.description,
                run_link=asked.run_link,
                tags=asked.tags,
            ),
            PATIENCE if small else 0,
        )
    if small:
        try:
            freeze_version(store, objects, clock, asked.model, begun.version, signer=signer)
        except Unavailable:
            log.warning("version %d of %r is left to the worker", begun.version, asked.model)
    return begun.version


def _owner(tx: Transaction, by: Principal, model: str) -> str:
    """The workspace that owns the model, '' for the registry itself. Raises NotFound, NotAllowed."""
    owner = tx.models.owner(model)
    if owner is None:
        raise NotFound("model", model)
    if tx.models.is_prompt(model):
        raise InvalidInput(f"{model!r} is a prompt, whose versions have no files.", field="name")
    if owner:
        by.require(Scope("import", owner))
    return owner


def freeze_version(
    store: RegistryStore,
    objects: ObjectStore,
    clock: Clock,
    model: str,
    version: int,
    *,
    last: bool = False,
    signer: Signer | None = None,
) -> None:
    """Bring the version to READY or FAILED_REGISTRATION; nothing when it has ended, or another attempt is at it.

    Raises Unavailable when a part did not answer: to be tried again, unless this was the `last` attempt. A defect of
    ours is raised as it is, too, and the version has failed.
    """
    with store.transaction() as tx:
        started = tx.registrations.start(model, version)
    if started is None:
        return
    try:
        _freeze(store, objects, clock, started, signer)
    except ConcurrentChange:
        log.info("attempt superseded: version %d of %r", version, model)
    except Unavailable as error:
        if last:
            _fail(store, started, error.detail)
        raise
    except RegistryError as error:
        _fail(store, started, error.detail)
    except Exception:
        _fail(store, started, "The registration failed inside the service; its log names the version.")
        raise


def give_up(store: RegistryStore, model: str, version: int, message: str) -> None:
    """Make the version FAILED_REGISTRATION without another attempt."""
    with store.transaction() as tx:
        started = tx.registrations.start(model, version)
        if started is not None:
            tx.registrations.fail(started, message)


def _freeze(
    store: RegistryStore, objects: ObjectStore, clock: Clock, started: Registration, signer: Signer | None
) -> None:
    asked = started.asked
    if asked.digest:
        with _kept(store, clock, asked.digest) as prefix:
            with store.transaction() as tx:
                manifest = tx.models.manifest(asked.digest)
            mlmodel = mlmodel_of(objects, prefix, manifest)
            with store.transaction() as tx:
                _finish(tx, clock, started, manifest, mlmodel, signer)
        return
    keys = [info.key for info in files_below(objects, asked.folder)]
    if not keys:
        raise NotFound("artifact", asked.folder, "The source has no files any more.")
    with frozen(store, objects, clock, asked.folder, keys) as (manifest, mlmodel), store.transaction() as tx:
        _finish(tx, clock, started, manifest, mlmodel, signer)


@contextmanager
def _kept(store: RegistryStore, clock: Clock, digest: str) -> Iterator[str]:
    """The folder of frozen bytes, which nobody collects until the block has ended."""
    holder, prefix = str(uuid.uuid4()), version_prefix(digest)
    claim(store, clock, holder, [prefix])
    try:
        yield prefix
    finally:
        with store.transaction() as tx:
            tx.claims.release(holder)


def _finish(
    tx: Transaction,
    clock: Clock,
    started: Registration,
    manifest: Manifest,
    mlmodel: MLmodel,
    signer: Signer | None,
) -> None:
    version = tx.registrations.finish(started, manifest, mlmodel.flavors, mlmodel.signature)
    sign(tx, signer, manifest, clock())
    asked = started.asked
    by = Principal(asked.actor_id, asked.actor, (), asked.request_id)
    record(tx, version_registered(by, asked.workspace, version), clock())


def _fail(store: RegistryStore, started: Registration, message: str) -> None:
    with store.transaction() as tx:
        tx.registrations.fail(started, message)
