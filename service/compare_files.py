"""Read artifacts back as clients do, through the artifact proxy, whatever characters their names have.

MLflow's own client refuses or mangles names with `#`, `?` and `%`, so the paths are quoted here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import requests

BLOCK = 1024 * 1024


@dataclass(frozen=True)
class ProxiedFiles:
    """The artifact proxy of the registry at `url`."""

    url: str
    token: str

    def digests(self, artifact_uri: str) -> dict[str, str]:
        """Hex SHA-256 of every file below a `mlflow-artifacts:/…` URI, by its path relative to it."""
        root = artifact_uri.removeprefix("mlflow-artifacts:/").strip("/")
        return {path: self._digest(f"{root}/{path}") for path in self._walk(root, "")}

    def _walk(self, root: str, folder: str) -> Iterator[str]:
        response = self._get("", params={"path": f"{root}/{folder}".rstrip("/")})
        for item in response.json()["files"]:
            path = f"{folder}/{item['path']}".lstrip("/")
            if item["is_dir"]:
                yield from self._walk(root, path)
            else:
                yield path

    def _digest(self, path: str) -> str:
        hasher = hashlib.sha256()
        for block in self._get("/" + quote(path)).iter_content(BLOCK):
            hasher.update(block)
        return hasher.hexdigest()

    def _get(self, path: str, params: dict[str, str] | None = None) -> requests.Response:
        response = requests.get(
            f"{self.url}/api/2.0/mlflow-artifacts/artifacts{path}",
            params=params,
            headers={"Authorization": f"Bearer {self.token}"},
            stream=True,
            timeout=60,
        )
        response.raise_for_status()
        return response
