"""docs/deployment.md says what the service and the chart really take."""

from __future__ import annotations

import re
import shlex

import click
import helm_python
import pytest

from service.cli import main
from service.settings import Settings
from tests.deploy.build_image import ROOT
from tests.deploy.chart import changed, render
from tests.deploy.variables import REQUIRED, variables_read

TEXT = (ROOT / "docs" / "deployment.md").read_text()
ROWS = dict(re.findall(r"^\| `(MODEL_REGISTRY_\w+)` \| (.+?) \| .+ \|$", TEXT, re.M))
CODE = "\n".join(re.findall(r"^```sh\n(.*?)^```", TEXT, re.M | re.S)).replace("\\\n", " ")


def test_the_table_has_every_variable() -> None:
    assert ROWS.keys() == variables_read()


def test_the_table_says_what_is_required_and_what_the_defaults_are() -> None:
    assert {name for name, default in ROWS.items() if default == "required"} == REQUIRED.keys()
    settings = Settings.from_env(REQUIRED)
    assert {name: default for name, default in ROWS.items() if default != "required"} == {
        "MODEL_REGISTRY_S3_PUBLIC_ENDPOINT": "`MODEL_REGISTRY_S3_ENDPOINT`",
        "MODEL_REGISTRY_S3_REGION": f"`{settings.s3.region}`",
        "MODEL_REGISTRY_IMPORT_MAX_BYTES": f"`{settings.import_max_bytes}`",
        "MODEL_REGISTRY_PRESIGN_SECONDS": f"`{settings.presign_seconds}`",
        "MODEL_REGISTRY_DATABASE_POOL": f"`{settings.database_pool}`",
        "MODEL_REGISTRY_AUDIT_READS": "`0`",
        "MODEL_REGISTRY_MIGRATION_DATABASE_URL": "none",
        "MODEL_REGISTRY_SECRET_KEY": "none",
        "MODEL_REGISTRY_WEBHOOK_ALLOW": "none",
        "MODEL_REGISTRY_EVENT_DAYS": f"`{settings.event_days}`",
        "MODEL_REGISTRY_ALLOWED_HOSTS": "that of the public URL, loopback",
        "MODEL_REGISTRY_SESSION_HOURS": f"`{settings.session_hours}`",
        "MODEL_REGISTRY_DEFAULT_ENVIRONMENT": "none",
        "MODEL_REGISTRY_SIGNING_KEY": "none",
        "MODEL_REGISTRY_SIGNING_KEY_FILE": "none",
        "MODEL_REGISTRY_GC_GRACE_HOURS": f"`{settings.gc_grace_hours}`",
        "MODEL_REGISTRY_ROLLBACK_DAYS": f"`{settings.rollback_days}`",
        "MODEL_REGISTRY_WATCHERS": f"`{settings.watchers}`",
        "MODEL_REGISTRY_ACCESS_LOG": "none",
    }
    assert settings.audit_reads == 0
    assert settings.allowed_hosts.names == {"registry.example.com", "localhost", "127.0.0.1", "[::1]"}
    assert settings.s3.public_endpoint == settings.s3.endpoint


COMMANDS = re.findall(r"model-registry ((?:migrate|serve|worker|token|audit|gc|scrub|sign)\b.*)$", CODE, re.M)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_one_of_the_program(line: str) -> None:
    command: click.Command = main
    words = shlex.split(line)
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    command.make_context("command", words)


def test_the_installation_renders(chart: helm_python.Chart) -> None:
    values: dict[str, object] = {}
    for path, value in re.findall(r"--set ([\w.]+)=(\S+)", CODE):
        values = changed(values, path, {"true": True}.get(value, value))
    names = {manifest["metadata"]["name"] for manifest in render(chart, values, name="registry")}
    assert set(re.findall(r"deployment/(\S+)", CODE)) <= names


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:web|worker|migrations|database|s3|ingress|webhooks|events)\.[\w.]+)", TEXT)))
)
def test_every_value_it_names_is_in_the_chart(chart: helm_python.Chart, path: str) -> None:
    place = chart.values
    for part in path.split("."):
        place = place[part]
