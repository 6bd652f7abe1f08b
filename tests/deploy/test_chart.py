"""The objects that the chart makes."""

from __future__ import annotations

import tomllib

import click
import helm_python
import kubernetes_validate
import pytest
import yaml

from service.cli import main
from tests.deploy.build_image import ROOT
from tests.deploy.chart import (
    CHART,
    FULL,
    MINIMAL,
    OPTIONS,
    Values,
    changed,
    containers,
    named,
    of_kind,
    pod_specs,
    render,
)


@pytest.mark.parametrize("values", [{}, MINIMAL, FULL], ids=["defaults", "minimal", "full"])
def test_lint_finds_nothing(values: Values) -> None:
    report = helm_python.lint(CHART, values, strict=True)
    messages = [message["error"] for message in report["messages"]]
    assert (report["errors"], [text for text in messages if text != "icon is recommended"]) == ([], [])


@pytest.mark.parametrize("version", ["1.25", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("values", OPTIONS.values(), ids=OPTIONS.keys())
def test_every_object_is_valid_to_kubernetes(chart: helm_python.Chart, values: Values, version: str) -> None:
    manifests = render(chart, values)
    assert manifests
    for manifest in manifests:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_names_are_unique_and_all_objects_are_labelled(chart: helm_python.Chart) -> None:
    for values in OPTIONS.values():
        manifests = render(chart, values)
        keys = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
        assert len(set(keys)) == len(keys)
        for manifest in manifests:
            assert {
                "app.kubernetes.io/name",
                "app.kubernetes.io/instance",
                "app.kubernetes.io/version",
                "app.kubernetes.io/managed-by",
                "helm.sh/chart",
            } <= manifest["metadata"]["labels"].keys()


def test_a_long_release_name_still_gives_valid_names(chart: helm_python.Chart) -> None:
    for manifest in render(chart, MINIMAL, name="r" * 53):
        assert len(manifest["metadata"]["name"]) <= 63


def test_which_objects_there_are(chart: helm_python.Chart) -> None:
    kinds = sorted(manifest["kind"] for manifest in render(chart, MINIMAL))
    expected = ["ConfigMap", "Deployment", "Deployment", "Pod", "PodDisruptionBudget", "Secret", "Service"]
    assert kinds == [*expected, "ServiceAccount"]
    full = {manifest["kind"] for manifest in render(chart, FULL)}
    assert full == {*expected, "ServiceAccount", "HorizontalPodAutoscaler", "Ingress"} - {"Secret"}
    assert not of_kind(render(chart, OPTIONS["one pod"]), "PodDisruptionBudget")


@pytest.mark.parametrize("values", OPTIONS.values(), ids=OPTIONS.keys())
def test_every_pod_fits_the_restricted_profile(chart: helm_python.Chart, values: Values) -> None:
    manifests = render(chart, values)
    for spec in pod_specs(manifests):
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert security.get("runAsUser") == (None if values is OPTIONS["assigned users"] else 10001)
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert all("hostPath" not in volume for volume in spec.get("volumes", ()))
    for container in containers(manifests):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["resources"]["limits"].keys() >= {"memory"}


def test_what_the_containers_run_is_in_the_program(chart: helm_python.Chart) -> None:
    run = []
    for values in (MINIMAL, FULL):
        for container in containers(render(chart, values)):
            if "command" not in container:
                command, *arguments = container["args"]
                main.commands[command].make_context(command, list(arguments))
                run.append(command)
    assert set(run) == {"serve", "worker", "migrate"}


def test_migrations_run_before_each_pod_unless_switched_off(chart: helm_python.Chart) -> None:
    for deployment in of_kind(render(chart, MINIMAL), "Deployment"):
        first = deployment["spec"]["template"]["spec"]["initContainers"][0]
        assert first["args"][0] == "migrate"
    for deployment in of_kind(render(chart, OPTIONS["no migrations"]), "Deployment"):
        assert "initContainers" not in deployment["spec"]["template"]["spec"]


def test_no_object_but_the_test_is_a_hook(chart: helm_python.Chart) -> None:
    for values in OPTIONS.values():
        for manifest in render(chart, values):
            hook = manifest["metadata"].get("annotations", {}).get("helm.sh/hook")
            assert hook == ("test" if manifest["kind"] == "Pod" else None)


def test_the_service_and_the_budget_are_about_the_web_pods_alone(chart: helm_python.Chart) -> None:
    manifests = render(chart, MINIMAL)
    selectors = [
        named(manifests, "Service", "")["spec"]["selector"],
        named(manifests, "PodDisruptionBudget", "-web")["spec"]["selector"]["matchLabels"],
    ]
    for suffix in ("-web", "-worker"):
        deployment = named(manifests, "Deployment", suffix)["spec"]
        labels = deployment["template"]["metadata"]["labels"]
        assert deployment["selector"]["matchLabels"].items() <= labels.items()
        assert [selector.items() <= labels.items() for selector in selectors] == [suffix == "-web"] * 2


def test_pods_are_replaced_before_they_are_taken_away(chart: helm_python.Chart) -> None:
    for deployment in of_kind(render(chart, MINIMAL), "Deployment"):
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_a_pod_serves_only_when_all_is_there_and_then_stays(chart: helm_python.Chart) -> None:
    web = named(render(chart, MINIMAL), "Deployment", "-web")["spec"]["template"]["spec"]["containers"][0]
    paths = {probe: web[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/readyz", "readiness": "/healthz", "liveness": "/healthz"}
    assert web["startupProbe"]["periodSeconds"] * web["startupProbe"]["failureThreshold"] >= 120


def test_scheduling_reaches_the_pods(chart: helm_python.Chart) -> None:
    for deployment in of_kind(render(chart, FULL), "Deployment"):
        spec = deployment["spec"]["template"]["spec"]
        component = deployment["metadata"]["labels"]["app.kubernetes.io/component"]
        for name in ("nodeSelector", "tolerations", "affinity"):
            assert spec[name] == FULL[component][name]
        filled, given = (item["labelSelector"]["matchLabels"] for item in spec["topologySpreadConstraints"])
        assert filled["app.kubernetes.io/component"] == component
        assert given == {"a": "b"}
        assert spec["volumes"][0] == {"name": "tmp", "emptyDir": {"sizeLimit": "40Gi"}}
        assert spec["terminationGracePeriodSeconds"] == 1_000_000
        assert spec["imagePullSecrets"] == [{"name": "pull"}]
        assert deployment["spec"]["template"]["metadata"]["annotations"]["a"] == "b"
        for container in (*spec["initContainers"], *spec["containers"]):
            assert {"name": "SSL_CERT_FILE", "value": "/ca/ca.crt"} in container["env"]
            assert container["volumeMounts"][1]["mountPath"] == "/ca"


def test_the_autoscaler_alone_decides_how_many(chart: helm_python.Chart) -> None:
    manifests = render(chart, FULL)
    scaled = named(manifests, "HorizontalPodAutoscaler", "-web")["spec"]["scaleTargetRef"]["name"]
    assert "replicas" not in named(manifests, "Deployment", "-web")["spec"]
    assert scaled == named(manifests, "Deployment", "-web")["metadata"]["name"]


def test_the_ingress_has_the_host_of_the_public_url(chart: helm_python.Chart) -> None:
    def hosts(values: Values) -> list[str]:
        return [rule["host"] for rule in named(render(chart, values), "Ingress", "")["spec"]["rules"]]

    enabled = changed(changed(MINIMAL, "ingress.enabled", True), "publicUrl", "https://models.example.com:8443")
    assert hosts(enabled) == ["models.example.com"]
    assert hosts(changed(enabled, "ingress.hosts", ["a.example.com", "b.example.com"])) == [
        "a.example.com",
        "b.example.com",
    ]


def test_the_image_is_the_one_of_the_chart_unless_pinned(chart: helm_python.Chart) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert about["appVersion"] == version
    assert {item["image"] for item in containers(render(chart, MINIMAL))} == {f"model-registry:{version}"}
    tagged = changed(MINIMAL, "image.tag", "edge")
    assert {item["image"] for item in containers(render(chart, tagged))} == {"model-registry:edge"}
    pinned = f"registry.example.com/model-registry@sha256:{'0' * 64}"
    assert {item["image"] for item in containers(render(chart, FULL))} == {pinned}


def test_the_notes_tell_how_to_make_the_first_token(chart: helm_python.Chart) -> None:
    for values in (MINIMAL, FULL):
        deployment = named(render(chart, values), "Deployment", "-web")["metadata"]["name"]
        notes = chart.render(values, name="prod", namespace="models")["model-registry/templates/NOTES.txt"]
        command = notes.split("model-registry token ")[1].splitlines()[0].split()
        group = main.commands["token"]
        assert isinstance(group, click.Group)
        assert group.commands[command[0]].make_context(command[0], command[1:]).params["scopes"] == ("admin",)
        assert f"deployment/{deployment} --container web" in notes
