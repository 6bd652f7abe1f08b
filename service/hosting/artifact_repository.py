"""MLflow's server-side view of artifacts, found through the entry point `mlflow.artifact_repository`.

MLflow's own handlers list folders and read the files of traces through this class. All other files are streamed by our
own code (service.hosting.artifacts, service.hosting.previews).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from mlflow.entities import FileInfo
from mlflow.store.artifact.artifact_repo import ArtifactRepository

from service.domain.errors import NotFound, TooLarge
from service.hosting.artifact_store import SCHEME, artifact_path, list_folder
from service.hosting.translation import translated
from service.settings import Settings
from service.stores.objects import S3Objects

MOST = 256 * 1024 * 1024
"""Bytes of a file that MLflow may copy to this machine."""


class RegistryArtifactRepository(ArtifactRepository):  # type: ignore[misc]  # MLflow's base class is untyped here
    """`registry-objects:/<path>` is what clients know as `mlflow-artifacts:/<path>`."""

    def __init__(self, artifact_uri: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(artifact_uri, *args, **kwargs)
        self._objects = S3Objects(Settings.from_env(os.environ).s3)

    def _path(self, path: str | None) -> str:
        root = self.artifact_uri.removeprefix(f"{SCHEME}:").strip("/")
        return f"{root}/{path or ''}".strip("/")

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        folder = artifact_path(self._path(path))
        base = f"{path.strip('/')}/" if path else ""
        return [FileInfo(base + item.name, item.size is None, item.size) for item in list_folder(self._objects, folder)]

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        """A file of a trace, which is on our disk for a moment. Raises MlflowException for a large one."""
        path = artifact_path(self._path(remote_file_path))
        with translated():
            if path.digest:
                raise NotFound("artifact", remote_file_path)
            if self._objects.stat(path.key).size > MOST:
                raise TooLarge(f"{remote_file_path!r} has more than {MOST} bytes; download it as an artifact.")
            with self._objects.open(path.key) as body, Path(local_path).open("wb") as file:
                shutil.copyfileobj(body, file)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        raise NotImplementedError("clients upload through the artifact proxy")

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        raise NotImplementedError("clients upload through the artifact proxy")
