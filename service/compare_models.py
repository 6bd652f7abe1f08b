"""Read registered models and versions of an imported export back through MLflow's own client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from service.compare_fields import Difference, differences
from service.compare_reading import Reading, there
from service.compare_values import said
from service.domain.layout import version_uri
from service.exports.records import RegisteredModelRecord, VersionRecord
from service.exports.versions import version_files
from service.usecases.view_versions import DIGEST_TAG


def compare_registered_model(reading: Reading, record: RegisteredModelRecord) -> Iterator[Difference]:
    where = f"model {record.name}"
    row = reading.row("models", original_name=record.name)
    got = there(reading.client.get_registered_model, row["name"]) if row else None
    if row is None or got is None:
        yield Difference(where, "there", "absent")
        return
    rows = {row["original_version"]: row for row in reading.report["versions"] if row["original_model"] == record.name}
    kept = {
        alias: int(rows[str(version)]["version"]) for alias, version in record.aliases.items() if str(version) in rows
    }
    yield from differences(
        where,
        {
            "description": (record.description, got.description or ""),
            "tags": (dict(record.tags), dict(got.tags)),
            "aliases": (kept, {alias: int(version) for alias, version in got.aliases.items() if alias in kept}),
            "creation_time": said(record.creation_time, got.creation_timestamp),
            "last_updated_time": said(record.last_updated_time, got.last_updated_timestamp),
        },
    )
    for version in record.versions:
        about = f"{where}, version {version.version}"
        if str(version.version) in rows:
            yield from _version(reading, about, version, rows[str(version.version)])
        elif not reading.failed("version", f"{record.name}/{version.version}"):
            yield Difference(about, "there", "absent")


def _version(reading: Reading, where: str, record: VersionRecord, row: Mapping[str, Any]) -> Iterator[Difference]:
    read = there(reading.client.get_model_version, row["model"], str(row["version"]))
    if read is None:
        yield Difference(where, "there", "absent")
        return
    run_id = reading.ids.run(record.run_id) if record.run_id else None
    yield from differences(
        where,
        {
            "number": (record.version, int(read.version)),
            "run_id": (run_id or "", read.run_id or ""),
            "run_link": (record.run_link, read.run_link or ""),
            "description": (record.description, read.description or ""),
            "tags": ({**record.tags, DIGEST_TAG: row["digest"]}, dict(read.tags)),
            "creation_time": said(record.creation_time, read.creation_timestamp),
            "last_updated_time": said(record.last_updated_time, read.last_updated_timestamp),
            "user": (record.user, read.user_id or ""),
            "status": (record.status, read.status),
            "status_message": (record.status_message, read.status_message or ""),
            "source": (version_uri(row["digest"]), read.source),
        },
    )
    folder = reading.found.models[row["original_model"]].folder
    yield from reading.compare_files(where, version_files(reading.found, record, folder).files, read.source)
