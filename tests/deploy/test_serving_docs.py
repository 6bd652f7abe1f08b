"""docs/serving.md and docs/handout.md: manifests that Kubernetes takes, and commands that are the puller's."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.pulling.__main__ import CODES, make_parser
from tests.deploy.build_image import ROOT

SERVING = (ROOT / "docs" / "serving.md").read_text()
HANDOUT = (ROOT / "docs" / "handout.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", SERVING, re.M | re.S)
MANIFESTS: list[Any] = [one for block in BLOCKS for one in yaml.safe_load_all(block)]
CUSTOM = {
    "InferenceService": "serving.kserve.io/v1beta1",
    "ClusterStorageContainer": "serving.kserve.io/v1alpha1",
    "Model": "mlops.seldon.io/v1alpha1",
}


def of_kind(kind: str) -> Any:
    (found,) = (manifest for manifest in MANIFESTS if manifest["kind"] == kind)
    return found


@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["kind"])
def test_manifests(manifest: Any, version: str) -> None:
    if manifest["kind"] in CUSTOM:
        assert manifest["apiVersion"] == CUSTOM[manifest["kind"]]
        return
    kubernetes_validate.validate(manifest, version, strict=True)


def test_kserves_container_is_one_of_a_pod() -> None:
    spec = of_kind("ClusterStorageContainer")["spec"]
    assert spec.keys() == {"container", "supportedUriFormats"}
    assert spec["container"]["name"] == "storage-initializer"
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [spec["container"]]}}
    kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
    spec["container"]["comand"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


def test_the_model_settings_are_json() -> None:
    settings = json.loads(of_kind("ConfigMap")["data"]["model-settings.json"])
    assert settings["parameters"]["uri"] == "/models/orders"


def commands() -> list[str]:
    pod = of_kind("Deployment")["spec"]["template"]["spec"]
    scripts = [" ".join(map(shlex.quote, [*one["command"][1:], *one["args"]])) for one in pod["initContainers"][1:]]
    scripts += [
        pod["initContainers"][0]["args"][0],
        of_kind("ClusterStorageContainer")["spec"]["container"]["command"][2],
    ]
    found = re.findall(
        r"pull\.pyz (?!…)(.*?)(?= && |\n|$)", "\n".join([*scripts, HANDOUT, *SERVING.split("```")[1::2]])
    )
    return [line for line in found if "--to" in line]


@pytest.mark.parametrize("line", commands())
def test_every_pull_is_one_of_the_program(line: str) -> None:
    words = shlex.split(line.replace("${0#registry://}", "prod/orders/Production"))
    given = make_parser(None).parse_args([*words, "--url", "https://registry"])
    assert str(given.ref) == "prod/orders/Production"


def test_commands_were_found() -> None:
    assert len(commands()) >= 7


@pytest.mark.parametrize(
    "script", [*re.findall(r"^```sh\n(.*?)^```", SERVING, re.M | re.S), (ROOT / "docs/pull.sh").read_text()]
)
def test_scripts_can_be_read(script: str) -> None:
    assert subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True).stderr == ""


def test_python_can_be_read() -> None:
    for block in re.findall(r"^```python\n(.*?)^```", SERVING + HANDOUT, re.M | re.S):
        compile(block, "docs", "exec")


def test_the_exit_codes_are_the_programs() -> None:
    told = dict(re.findall(r"^\| (\d) \| (.*) \|$", HANDOUT.replace("`", ""), re.M))
    assert told == dict(re.findall(r"^  (\d)  (.*)$", CODES, re.M))


def test_every_option_is_told() -> None:
    options = {option for action in make_parser(None)._actions for option in action.option_strings if "--" in option}
    untold = {option for option in options if option not in HANDOUT}
    assert untold == {"--help", "--jobs", "--timeout", "--quiet", "--url"}
