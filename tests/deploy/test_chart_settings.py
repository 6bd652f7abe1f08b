"""What the chart's values become in the pods: the variables of the service."""

from __future__ import annotations

import base64
from dataclasses import replace

import helm_python
import pytest
import yaml

from service.domain.endpoint import AddressRules
from service.settings import Settings, WebhookSettings
from tests.conftest import KEY
from tests.deploy.chart import (
    FULL,
    MINIMAL,
    OWNED,
    SECRETS,
    Values,
    changed,
    containers,
    environ_of,
    named,
    of_kind,
    render,
)
from tests.deploy.variables import OWNER, REQUIRED, variables_read


def test_secrets_are_in_the_secret_only(chart: helm_python.Chart) -> None:
    for manifest in render(chart, OWNED):
        text = yaml.safe_dump(manifest)
        for secret in SECRETS:
            assert secret not in text
            encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
            assert manifest["kind"] == "Secret" or encoded not in text


def test_a_container_reads_the_variables_of_the_service(chart: helm_python.Chart) -> None:
    for values in (MINIMAL, FULL):
        manifests = render(chart, values)
        for container in containers(manifests):
            if container["name"] != "ready":
                given = {variable["name"] for variable in container["env"]} | environ_of(container, manifests).keys()
                ours = {name for name in given if name.startswith("MODEL_REGISTRY_")}
                owner = {OWNER} if values is FULL and container["name"] == "migrate" else set()
                assert ours == variables_read() - {OWNER} | owner


def test_the_owner_s_url_is_for_the_migration_alone(chart: helm_python.Chart) -> None:
    manifests = render(chart, OWNED)
    given = {item["name"]: environ_of(item, manifests).get(OWNER) for item in containers(manifests) if "env" in item}
    assert given == {"migrate": "postgresql://owner:secret-too@db/registry", "web": None, "worker": None}


def test_the_defaults_are_those_of_the_service(chart: helm_python.Chart) -> None:
    manifests = render(chart, MINIMAL)
    web = named(manifests, "Deployment", "-web")["spec"]["template"]["spec"]["containers"][0]
    settings = Settings.from_env(environ_of(web, manifests))
    default = Settings.from_env(REQUIRED)
    assert replace(settings, allowed_hosts=default.allowed_hosts) == default


@pytest.mark.parametrize(
    "url", ["https://registry.example.com", "https://registry.example.com:8443/x", "http://[::2]:1"]
)
def test_the_hosts_are_the_public_one_and_those_of_the_service(chart: helm_python.Chart, url: str) -> None:
    manifests = render(chart, changed(changed(MINIMAL, "publicUrl", url), "allowedHosts", ["a.internal:1"]))
    (service,) = of_kind(manifests, "Service")
    web = named(manifests, "Deployment", "-web")["spec"]["template"]["spec"]["containers"][0]
    environ = environ_of(web, manifests)
    inside = service["metadata"]["name"]
    cluster = [inside, f"{inside}.models", f"{inside}.models.svc", f"{inside}.models.svc.cluster.local"]
    default = Settings.from_env({**REQUIRED, "MODEL_REGISTRY_PUBLIC_URL": url}).allowed_hosts
    assert Settings.from_env(environ).allowed_hosts.names == default.names | set(cluster) | {"a.internal:1"}


def test_values_reach_the_service_as_they_are(chart: helm_python.Chart) -> None:
    manifests = render(chart, changed(FULL, "database", {"url": REQUIRED["MODEL_REGISTRY_DATABASE_URL"], "pool": 4}))
    web = named(manifests, "Deployment", "-web")["spec"]["template"]["spec"]["containers"][0]
    environ = environ_of(web, manifests) | {
        "MODEL_REGISTRY_S3_ACCESS_KEY": "a",
        "MODEL_REGISTRY_S3_SECRET_KEY": "b",
        "MODEL_REGISTRY_SECRET_KEY": KEY,
    }
    settings = Settings.from_env(environ)
    assert (settings.import_max_bytes, settings.presign_seconds, settings.database_pool) == (1024**4, 60, 4)
    assert (settings.audit_reads, settings.default_environment) == (0.25, "prod")
    rules = AddressRules.parse(("10.1.0.0/16", "chat.internal"))
    assert (settings.webhooks, settings.event_days) == (WebhookSettings((KEY,), rules), 7)
    assert settings.session_hours == 8
    assert (settings.s3.public_endpoint, settings.s3.region) == ("https://s3.example.com", "eu-central-1")


def test_secrets_of_others_are_referred_to(chart: helm_python.Chart) -> None:
    for container in containers(render(chart, FULL)):
        sources = [item["valueFrom"]["secretKeyRef"] for item in container.get("env", ()) if "valueFrom" in item]
        expected = [{"name": "postgres", "key": "uri"}, {"name": "s3", "key": "id"}, {"name": "s3", "key": "key"}]
        expected.append({"name": "seals", "key": "keys"})
        expected.append({"name": "signer", "key": "pem"})
        if container["name"] == "migrate":
            expected.append({"name": "postgres-owner", "key": "uri"})
        assert container["name"] == "ready" or sources == expected


def test_the_key_of_webhooks_is_given_or_absent(chart: helm_python.Chart) -> None:
    manifests = render(chart, changed(MINIMAL, "webhooks.secretKey", KEY))
    web = named(manifests, "Deployment", "-web")["spec"]["template"]["spec"]["containers"][0]
    assert Settings.from_env(environ_of(web, manifests)).webhooks.keys == (KEY,)
    assert [manifest["kind"] for manifest in manifests if KEY in yaml.safe_dump(manifest)] == []
    (source,) = [item for item in web["env"] if item["name"] == "MODEL_REGISTRY_SECRET_KEY"]
    assert "optional" not in source["valueFrom"]["secretKeyRef"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("publicUrl", "https://other.example.com"),
        ("database.url", "postgresql://other/db"),
        ("s3.secretKey", "other"),
        ("webhooks.secretKey", KEY),
    ],
)
def test_a_changed_setting_rolls_the_pods(chart: helm_python.Chart, path: str, value: str) -> None:
    def annotations(values: Values) -> list[dict[str, str]]:
        deployments = of_kind(render(chart, values), "Deployment")
        return [item["spec"]["template"]["metadata"]["annotations"] for item in deployments]

    assert annotations(MINIMAL) == annotations(MINIMAL)
    for before, after in zip(annotations(MINIMAL), annotations(changed(MINIMAL, path, value)), strict=True):
        assert before != after
