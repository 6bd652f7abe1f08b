"""What clients of 1.x ask of the registry, and nothing else, is another address today."""

from __future__ import annotations

import pytest

from service.hosting.preview import without_preview


@pytest.mark.parametrize("api", ["/api/2.0", "/ajax-api/2.0"])
@pytest.mark.parametrize("rest", ["registered-models/create", "model-versions/get-download-uri"])
def test_preview(api: str, rest: str) -> None:
    assert without_preview(f"{api}/preview/mlflow/{rest}") == f"{api}/mlflow/{rest}"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/2.0/mlflow/registered-models/create",
        "/api/2.0/mlflow-artifacts/artifacts/1/api/2.0/preview/mlflow/model-versions/get",
        "/api/2.0/preview/mlflow/runs/create",
        "/api/2.0/preview/preview/mlflow/model-versions/get",
        "/api/3.0/preview/mlflow/model-versions/get",
    ],
)
def test_all_other_addresses_stay(path: str) -> None:
    assert without_preview(path) == path
