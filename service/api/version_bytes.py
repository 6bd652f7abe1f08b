"""Routes of the bytes of versions: by the stage that holds them, by model and number, or by digest."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from service.api import byte_payloads as bp
from service.api import model_payloads as mp
from service.api import payloads as p
from service.api.answers import answer
from service.api.auth import authenticated, principal, scoped
from service.api.byte_answers import (
    CHECKED,
    FOR_EVER,
    ONCE,
    archive_answer,
    file_answer,
    file_links,
    link_answer,
    manifest_answer,
)
from service.api.document import binary, problems
from service.api.paths import STAGE
from service.api.resolve import STAGES
from service.domain.environment import Place
from service.usecases.hand_out import Find, HandOutBytes, by_digest, by_stage, by_version
from service.usecases.resolve import READING
from service.usecases.sign_versions import bundles
from service.wiring import Parts

BYTES = Tag(name="bytes", description="Exactly the bytes that were registered, for whoever may read a stage with them")
VERSION = "/models/<model>/versions/<version>"
DIGEST = "/digests/<digest>"
TAR = binary("application/x-tar", "The version's files")
PART = binary("application/octet-stream", "Part of them")
CODED = binary("application/octet-stream", "The file")
DAMAGED = problems(409)
ARCHIVE: dict[int, Any] = {200: TAR, 206: PART, 304: None, **problems(409, 416)}
FILE: dict[int, Any] = {200: CODED, 206: PART, 304: None, 307: None, **problems(409, 416)}


def add_version_bytes(api: APIBlueprint, parts: Parts, seconds: int) -> None:
    source = HandOutBytes(parts.store, parts.objects, parts.clock, parts.reads)
    _add_of_stages(api, source, seconds)
    _add_of_versions(api, source, seconds)
    _add_of_digests(api, source, seconds)


def _add_of_stages(api: APIBlueprint, source: HandOutBytes, seconds: int) -> None:
    def at(path: p.StagePath) -> Find:
        return by_stage(Place(path.environment, path.model, path.stage))

    @api.get(f"{STAGE}/files", tags=[STAGES], responses={200: mp.FilesOut, **DAMAGED})
    @scoped(*READING, parameter="environment")
    def get_stage_files(path: p.StagePath) -> Response:
        """The version's files, each with size, SHA-256 and a URL that needs no token."""
        return _files(source, at(path), seconds)

    @api.get(f"{STAGE}/files/<path:file>", tags=[STAGES], responses=FILE)
    @scoped(*READING, parameter="environment")
    def get_stage_file(path: bp.StageFilePath, query: bp.FileQuery, header: bp.RangeHeaders) -> Response:
        """One file: the URL where it is, or its bytes."""
        return _file(source, at(path), path.file, query.stream, seconds)

    @api.get(f"{STAGE}/archive", tags=[STAGES], responses=ARCHIVE)
    @scoped(*READING, parameter="environment")
    def get_stage_archive(path: p.StagePath, header: bp.RangeHeaders) -> Response:
        """The version's files as one tar, the same bytes for the same digest; whole, or one range of it."""
        return archive_answer(source, at(path), CHECKED)


def _add_of_versions(api: APIBlueprint, source: HandOutBytes, seconds: int) -> None:
    @api.get(f"{VERSION}/files", tags=[BYTES], responses={200: mp.FilesOut, **DAMAGED})
    @authenticated()
    def get_version_files(path: p.VersionPath) -> Response:
        """The version's files, each with size, SHA-256 and a URL that needs no token."""
        return _files(source, by_version(path.model, path.version), seconds)

    @api.get(f"{VERSION}/files/<path:file>", tags=[BYTES], responses=FILE)
    @authenticated()
    def get_version_file(path: bp.VersionFilePath, query: bp.FileQuery, header: bp.RangeHeaders) -> Response:
        """One file: the URL where it is, or its bytes."""
        return _file(source, by_version(path.model, path.version), path.file, query.stream, seconds)

    @api.get(f"{VERSION}/archive", tags=[BYTES], responses=ARCHIVE)
    @authenticated()
    def get_version_archive(path: p.VersionPath, header: bp.RangeHeaders) -> Response:
        """The version's files as one tar, the same bytes for the same digest; whole, or one range of it."""
        return archive_answer(source, by_version(path.model, path.version), CHECKED)


def _add_of_digests(api: APIBlueprint, source: HandOutBytes, seconds: int) -> None:
    @api.get(f"{DIGEST}/manifest", tags=[BYTES], responses={200: bp.ManifestOut, 304: None})
    @authenticated()
    def get_digest_manifest(path: bp.DigestPath, header: mp.StageHeaders) -> Response:
        """Path, size and SHA-256 of each file: what the digest is made of."""
        return manifest_answer(source, by_digest(path.full), FOR_EVER)

    @api.get(f"{DIGEST}/files", tags=[BYTES], responses={200: bp.DigestFilesOut, **DAMAGED})
    @authenticated()
    def get_digest_files(path: bp.DigestPath) -> Response:
        """The files, each with size, SHA-256 and a URL that needs no token."""
        found, links = source.links(principal(), by_digest(path.full), seconds)
        shown = bp.DigestFilesOut(digest=found.digest, expires_in=seconds, files=file_links(links))
        return answer(shown, headers={"Cache-Control": ONCE, "ETag": f'"{found.digest}"'})

    @api.get(f"{DIGEST}/files/<path:file>", tags=[BYTES], responses=FILE)
    @authenticated()
    def get_digest_file(path: bp.DigestFilePath, query: bp.FileQuery, header: bp.RangeHeaders) -> Response:
        """One file: the URL where it is, or its bytes."""
        find = by_digest(path.full)
        if query.stream:
            return file_answer(source, find, path.file, FOR_EVER)
        return link_answer(source, find, path.file, seconds)

    @api.get(f"{DIGEST}/archive", tags=[BYTES], responses=ARCHIVE)
    @authenticated()
    def get_digest_archive(path: bp.DigestPath, header: bp.RangeHeaders) -> Response:
        """The files as one tar, the same bytes for the same digest; whole, or one range of it."""
        return archive_answer(source, by_digest(path.full), FOR_EVER)


def _files(source: HandOutBytes, find: Find, seconds: int) -> Response:
    found, links = source.links(principal(), find, seconds)
    shown = mp.FilesOut(
        model=found.model,
        version=found.version,
        digest=found.digest,
        expires_in=seconds,
        files=file_links(links),
        signatures=bundles(source.store, found.digest),
    )
    return answer(shown, headers={"Cache-Control": ONCE, "ETag": f'"{found.digest}"'})


def _file(source: HandOutBytes, find: Find, path: str, stream: bool, seconds: int) -> Response:
    if stream:
        return file_answer(source, find, path, CHECKED)
    return link_answer(source, find, path, seconds)
