"""What earlier imports by the export tool left in tags."""

from __future__ import annotations

import pytest

from service.exports.origin import first_origin, is_source_tag


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, {}),
        ({"mlflow.user": "jane", "run_info.run_id": "no"}, {}),
        ({"mlflow_exim.run_info.run_id": "r", "mlflow_exim.field.name": "n"}, {"run_id": "r", "name": "n"}),
        ({"mlflow_export_import.metadata.tracking_uri": "databricks"}, {"tracking_uri": "databricks"}),
        # The older tags were there first; an empty one says nothing.
        ({"mlflow_exim.run_info.run_id": "later", "mlflow_export_import.metadata.run_id": "r"}, {"run_id": "r"}),
        ({"mlflow_exim.run_info.run_id": "r", "mlflow_export_import.metadata.run_id": ""}, {"run_id": "r"}),
    ],
)
def test_first_origin(tags: dict[str, str], expected: dict[str, str]) -> None:
    assert first_origin(tags) == expected


def test_source_tags() -> None:
    assert is_source_tag("mlflow_exim.mlflow_tag.user")
    assert is_source_tag("mlflow_export_import.metadata.run_id")
    assert not is_source_tag("mlflow.user")
