"""What the chart takes as values: nothing unknown, nothing ill-typed, and no default for a secret."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import helm_python
import pytest

from tests.conftest import KEY
from tests.deploy.chart import CHART, MINIMAL, SECRETS, changed, render


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("publicUrl", "publicUrl is not set"),
        ("database.url", "the database is missing"),
        ("s3.endpoint", "s3.endpoint is not set"),
        ("s3.bucket", "s3.bucket is not set"),
        ("s3.accessKey", "the S3 keys are missing"),
        ("s3.secretKey", "the S3 keys are missing"),
    ],
)
def test_what_is_required_has_no_default(chart: helm_python.Chart, path: str, message: str) -> None:
    with pytest.raises(helm_python.HelmRenderError, match=message) as caught:
        render(chart, changed(MINIMAL, path, ""))
    assert not any(secret in str(caught.value) for secret in SECRETS)


def test_everything_that_is_missing_is_named_at_once(chart: helm_python.Chart) -> None:
    with pytest.raises(helm_python.HelmRenderError) as caught:
        render(chart, {})
    assert str(caught.value).count("\n- ") == 5


@pytest.mark.parametrize(
    "path", ["database.existingSecret.name", "s3.existingSecret.name", "webhooks.existingSecret.name"]
)
def test_a_secret_is_given_in_one_way_only(chart: helm_python.Chart, path: str) -> None:
    values = changed(MINIMAL, "webhooks.secretKey", KEY)
    with pytest.raises(helm_python.HelmRenderError, match="give one"):
        render(chart, changed(values, path, "mine"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("unknown", 1),
        ("database.unknown", 1),
        ("web.unknown", 1),
        ("publicUrl", "registry.example.com"),
        ("database.pool", "16"),
        ("database.pool", 0),
        ("s3.bucket", "ab"),
        ("s3.endpoint", "s3:9000"),
        ("imports.maxBytes", 1.5),
        ("downloads.presignSeconds", 8 * 24 * 3600),
        ("webhooks.secretKey", "too-short"),
        ("webhooks.allow", "10.0.0.0/8"),
        ("webhooks.allow", ["a,b"]),
        ("events.days", 3),
        ("garbage.graceHours", 0),
        ("garbage.rollbackDays", -1),
        ("web.replicas", -1),
        ("web.workers", 0),
        ("web.tmpSizeLimit", "lots"),
        ("worker.concurrency", 17),
        ("migrations.onStart", "yes"),
        ("service.type", "ExternalName"),
        ("service.port", 0),
        ("image.digest", "sha256:abc"),
        ("image.pullPolicy", "always"),
        ("podDisruptionBudget.maxUnavailable", 0),
        ("runAsUser", 0),
        ("extraEnv", {"A": "b"}),
        ("ingress.hosts", "registry.example.com"),
    ],
)
def test_the_schema_refuses(chart: helm_python.Chart, path: str, value: object) -> None:
    with pytest.raises(helm_python.HelmValuesError):
        chart.validate_schema(changed(MINIMAL, path, value))


def test_the_schema_says_nothing_of_secrets(chart: helm_python.Chart) -> None:
    with pytest.raises(helm_python.HelmValuesError) as caught:
        chart.validate_schema(changed(MINIMAL, "s3.unknown", 1))
    assert not any(secret in str(caught.value) for secret in SECRETS)


def test_every_value_has_a_schema_and_a_comment(chart: helm_python.Chart) -> None:
    schema = chart.schema
    assert schema
    _assert_strict(schema, chart.values)
    lines = (CHART / "values.yaml").read_text().splitlines()
    for before, line in pairwise(lines):
        if re.match(r" {0,4}\w+: ", line):  # deeper lines belong to a value of several lines
            assert before.lstrip().startswith("#"), line


def _assert_strict(schema: dict[str, Any], values: dict[str, Any]) -> None:
    """Every default is in the schema, and whatever is not is refused."""
    assert schema["additionalProperties"] is False
    assert schema["properties"].keys() - {"global"} == values.keys()
    for name, value in values.items():
        inner = schema["properties"][name]
        if "properties" in inner and name != "resources":
            _assert_strict(inner, value)
