"""Take an archive in: durable bytes in the object store, one row, one job."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from service.domain.errors import InvalidInput, TooLarge
from service.domain.identity import Principal, Scope
from service.domain.importing import Import, ImportOptions
from service.domain.layout import archive_key
from service.domain.names import check_model_name
from service.exports.archive import recognise
from service.usecases.claim_folders import claim
from service.usecases.end_import import import_received
from service.usecases.object_ports import ObjectStore
from service.usecases.ports import Clock, RegistryStore
from service.usecases.record_change import record

HEAD = 4096


@dataclass(frozen=True)
class Received:
    """`replayed` when the same archive with the same options had been received before."""

    import_: Import
    replayed: bool


def receive_import(
    store: RegistryStore,
    objects: ObjectStore,
    clock: Clock,
    by: Principal,
    workspace: str,
    body: BinaryIO,
    size: int | None,
    max_bytes: int,
    options: ImportOptions,
    idempotency_key: str | None = None,
) -> Received:
    """Stream `body` (`size` bytes, None when unknown) into the object store and queue the import.

    Nothing is left behind when this raises: NotFound for the workspace or environment, NotAllowed for an
    environment whose stages the caller may not change, InvalidInput for an option, TooLarge, ArchiveRefused for
    what is no archive, Conflict for a reused idempotency key.
    """
    check_options(store, by, workspace, options)
    if size is not None and size > max_bytes:
        raise TooLarge(f"The archive is {size} bytes; at most {max_bytes} are taken in.", limit=max_bytes)
    import_id = str(uuid.uuid4())
    key = archive_key(import_id)
    reader = _Checked(body, max_bytes, size)
    reader.begin()
    with kept_only_if_received(store, objects, clock, key) as receipt:
        objects.put(key, reader, size)  # type: ignore[arg-type]  # all a put needs is read()
        reader.end()
        new = Import.received(
            by,
            clock(),
            import_id,
            workspace,
            options.key(workspace, reader.digest),
            options,
            reader.digest,
            reader.count,
        )
        return receipt.queue(by, new, idempotency_key)


@dataclass
class _Receipt:
    store: RegistryStore
    key: str
    kept: bool = False

    def queue(self, by: Principal, new: Import, idempotency_key: str | None) -> Received:
        """Add the import, or find the one that the same archive with the same options is already."""
        with self.store.transaction() as tx:
            added = tx.imports.add(new, idempotency_key)
            fresh = added.id == new.id
            if fresh:
                record(tx, import_received(by, added), added.created_at)
            tx.claims.release(self.key)
            # From here only the commit can fail, and then nobody knows whether it did: the archive has to stay.
            self.kept = fresh
        return Received(added, replayed=not fresh)


@contextmanager
def kept_only_if_received(store: RegistryStore, objects: ObjectStore, clock: Clock, key: str) -> Iterator[_Receipt]:
    """Delete the object unless an import came of it, whatever ended the request; until then `key` claims its folder."""
    receipt = _Receipt(store, key)
    claim(store, clock, key, [key])
    try:
        yield receipt
    finally:
        if not receipt.kept:
            objects.delete([key])
            with store.transaction() as tx:
                tx.claims.release(key)


def check_options(store: RegistryStore, by: Principal, workspace: str, options: ImportOptions) -> None:
    """Raises NotFound for the workspace or environment, NotAllowed for its stages, InvalidInput for an option."""
    if options.model_name:
        try:
            check_model_name(options.model_name)
        except InvalidInput as error:
            raise InvalidInput(error.detail, field="model_name") from error
    if options.register and not options.model_name:
        raise InvalidInput(
            "register=<artifact path> needs model_name=<name of the registered model>.", field="model_name"
        )
    if len(options.experiment_name) > 256 or "\0" in options.experiment_name + options.register:
        raise InvalidInput("experiment_name has at most 256 characters, none of them NUL.", field="experiment_name")
    with store.transaction() as tx:
        tx.workspaces.get(workspace)
        if options.environment:
            by.require(Scope("promote", options.environment))
            tx.environments.get(options.environment)


class _Checked:
    """The body, hashed, counted and held to its limits while it is read."""

    def __init__(self, body: BinaryIO, max_bytes: int, size: int | None) -> None:
        self._body = body
        self._max_bytes = max_bytes
        self._size = size
        self._hasher = hashlib.sha256()
        self._head = b""
        self.count = 0

    @property
    def digest(self) -> str:
        return "sha256:" + self._hasher.hexdigest()

    def begin(self) -> None:
        """Look at the first bytes. Raises ArchiveRefused before anything is stored."""
        while len(self._head) < HEAD and (block := self._body.read(HEAD - len(self._head))):
            self._head += block
        recognise(self._head)

    def read(self, size: int = -1) -> bytes:
        if self._head:
            block = self._head if size < 0 else self._head[:size]
            self._head = self._head[len(block) :]
        else:
            block = self._body.read(size)
        self._hasher.update(block)
        self.count += len(block)
        if self.count > self._max_bytes:
            raise TooLarge(f"The archive is over {self._max_bytes} bytes, the most taken in.", limit=self._max_bytes)
        if not block:
            self.end()
        return block

    def end(self) -> None:
        """Raises InvalidInput when the body ended before its Content-Length."""
        if self._size is not None and self.count < self._size:
            raise InvalidInput(
                f"The body ended after {self.count} of {self._size} bytes; send it again.", header="Content-Length"
            )
