"""Paths of `mlflow-artifacts:/…` as objects: what a client may write, and what only the registry writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from service.domain.errors import InvalidInput, NotAllowed
from service.domain.file_names import wrong_with
from service.domain.layout import PROXIED, REGISTERED, version_prefix
from service.usecases.object_ports import ObjectStore

SCHEME = "registry-objects"
"""The scheme by which MLflow's server-side code reaches these objects."""

MAX_PATH = 900
"""Bytes; S3's keys have at most 1,024."""
DECODED = 3
"""Times that a path is decoded in search of `..`."""
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ArtifactPath:
    """`key` in the bucket; `digest` for a path inside a registered version, which nobody can write."""

    path: str
    key: str
    digest: str = ""

    @property
    def inner(self) -> str:
        """Within the registered version."""
        return self.key.removeprefix(version_prefix(self.digest)) if self.digest else ""

    def require_writable(self) -> None:
        if self.digest or not self.path:
            raise NotAllowed("The files of a registered version never change; log to a run instead.")

    def require_placeable(self) -> None:
        """What is new has to be fit for a version; what is there with another name can be read and deleted."""
        if wrong := wrong_with(self.path):
            raise InvalidInput(f"The artifact path has {wrong}; no version could have such a file.", field="path")


def artifact_path(raw: str) -> ArtifactPath:
    """Raises InvalidInput for a path with `..` (in any encoding), empty segments or control characters."""
    path = raw.strip("/")
    if (path and any(segment in ("", ".", "..") for segment in path.split("/"))) or _CONTROL.search(path):
        raise InvalidInput(
            "The artifact path must be relative, without '.', '..' and control characters.", field="path"
        )
    if ".." in re.split(r"[/\\]", _decoded(path)):
        raise InvalidInput("The artifact path must not name a folder above it, however it is encoded.", field="path")
    if len(path.encode()) > MAX_PATH:
        raise InvalidInput(f"The artifact path has at most {MAX_PATH} bytes.", field="path")
    if path == REGISTERED.strip("/"):
        raise InvalidInput("Name the digest of the version to read.", field="path")
    if path.startswith(REGISTERED):
        digest, _, inner = path.removeprefix(REGISTERED).partition("/")
        if not _HEX.fullmatch(digest):
            raise InvalidInput("That is not the digest of a version.", field="path")
        return ArtifactPath(path, version_prefix(f"sha256:{digest}") + inner, f"sha256:{digest}")
    return ArtifactPath(path, PROXIED + path)


def _decoded(path: str) -> str:
    for _ in range(DECODED):
        path = unquote(path)
    return path


@dataclass(frozen=True)
class Listed:
    """`name` is the last segment; folders have no size."""

    name: str
    size: int | None


def list_folder(objects: ObjectStore, path: ArtifactPath) -> Iterator[Listed]:
    prefix = path.key.rstrip("/") + "/"
    for info in objects.list(prefix, recursive=False):
        name = info.key.removeprefix(prefix)
        if name.strip("/"):
            yield Listed(name.rstrip("/"), None if name.endswith("/") else info.size)
