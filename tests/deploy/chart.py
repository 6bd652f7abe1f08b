"""The Helm chart, rendered by Helm's own engine, and values to render it with."""

from __future__ import annotations

import base64
from copy import deepcopy
from typing import Any

import helm_python
import yaml

from tests.deploy.build_image import ROOT
from tests.deploy.variables import REQUIRED

CHART = ROOT / "helm" / "model-registry"
Values = dict[str, Any]
Manifest = dict[str, Any]

MINIMAL: Values = {
    "publicUrl": REQUIRED["MODEL_REGISTRY_PUBLIC_URL"],
    "database": {"url": REQUIRED["MODEL_REGISTRY_DATABASE_URL"]},
    "s3": {
        "endpoint": REQUIRED["MODEL_REGISTRY_S3_ENDPOINT"],
        "bucket": REQUIRED["MODEL_REGISTRY_S3_BUCKET"],
        "accessKey": REQUIRED["MODEL_REGISTRY_S3_ACCESS_KEY"],
        "secretKey": REQUIRED["MODEL_REGISTRY_S3_SECRET_KEY"],
    },
}
OWNED: Values = {
    **MINIMAL,
    "database": {**MINIMAL["database"], "migration": {"url": "postgresql://owner:secret-too@db/registry"}},
}
SECRETS = ("registry:secret@db", "owner:secret-too@db", "the-access-key", "the-secret-key")

SCHEDULING: Values = {
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "models", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]
            }
        }
    },
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"},
        {
            "maxSkew": 2,
            "topologyKey": "host",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"a": "b"}},
        },
    ],
    "tmpSizeLimit": "40Gi",
    "terminationGracePeriodSeconds": 1_000_000,
}

FULL: Values = {
    **MINIMAL,
    "nameOverride": "registry",
    "image": {"repository": "registry.example.com/model-registry", "digest": f"sha256:{'0' * 64}"},
    "imagePullSecrets": [{"name": "pull"}],
    "database": {
        "existingSecret": {"name": "postgres", "key": "uri"},
        "migration": {"existingSecret": {"name": "postgres-owner", "key": "uri"}},
        "pool": 4,
    },
    "audit": {"reads": 0.25},
    "signing": {"existingSecret": {"name": "signer", "key": "pem"}},
    "mlflow": {"defaultEnvironment": "prod"},
    "allowedHosts": ["models.internal", "models.internal:8443"],
    "s3": {
        "endpoint": "http://s3:9000",
        "publicEndpoint": "https://s3.example.com",
        "bucket": "models",
        "region": "eu-central-1",
        "existingSecret": {"name": "s3", "accessKeyKey": "id", "secretKeyKey": "key"},
    },
    "webhooks": {"existingSecret": {"name": "seals", "key": "keys"}, "allow": ["10.1.0.0/16", "chat.internal"]},
    "events": {"days": 7},
    "imports": {"maxBytes": 1024**4},
    "downloads": {"presignSeconds": 60},
    "sessions": {"hours": 8},
    "web": {**SCHEDULING, "replicas": 3, "workers": 4, "watchers": 50, "accessLog": "-"},
    "worker": {**SCHEDULING, "replicas": 2, "concurrency": 4},
    "autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 9},
    "podDisruptionBudget": {"maxUnavailable": "50%"},
    "service": {"type": "LoadBalancer", "port": 8080, "annotations": {"a": "b"}},
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "0"},
        "tls": [{"secretName": "tls", "hosts": ["registry.example.com"]}],
    },
    "serviceAccount": {"annotations": {"a": "b"}},
    "podAnnotations": {"a": "b"},
    "podLabels": {"team": "models"},
    "extraEnv": [{"name": "SSL_CERT_FILE", "value": "/ca/ca.crt"}],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca", "readOnly": True}],
}

OPTIONS: dict[str, Values] = {
    "minimal": MINIMAL,
    "full": FULL,
    "two roles": OWNED,
    "no migrations": {**MINIMAL, "migrations": {"onStart": False}},
    "assigned users": {**MINIMAL, "runAsUser": None, "runAsGroup": None, "fsGroup": None},
    "one pod": {**MINIMAL, "web": {"replicas": 1, "topologySpreadConstraints": []}, "worker": {"replicas": 0}},
    "default account": {**MINIMAL, "serviceAccount": {"create": False}},
    "half of the secrets": {**MINIMAL, "database": {"existingSecret": {"name": "postgres"}}},
}


def changed(values: Values, path: str, value: object) -> Values:
    """A copy of `values` with the one at a dotted path replaced."""
    copy = deepcopy(values)
    *parents, last = path.split(".")
    place = copy
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return copy


def render(chart: helm_python.Chart, values: Values, name: str = "prod") -> list[Manifest]:
    """What Helm would send to the cluster, hooks included. Values are checked first, as an install does."""
    chart.validate_schema(values)
    files: dict[str, str] = chart.render(values, name=name, namespace="models")
    texts = [text for path, text in files.items() if path.endswith(".yaml")]
    return [manifest for text in texts for manifest in yaml.safe_load_all(text) if manifest]


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def named(manifests: list[Manifest], kind: str, suffix: str) -> Manifest:
    return next(manifest for manifest in of_kind(manifests, kind) if manifest["metadata"]["name"].endswith(suffix))


def pod_specs(manifests: list[Manifest]) -> list[Manifest]:
    templates = [manifest["spec"]["template"]["spec"] for manifest in of_kind(manifests, "Deployment")]
    return templates + [manifest["spec"] for manifest in of_kind(manifests, "Pod")]


def containers(manifests: list[Manifest]) -> list[Manifest]:
    return [
        container
        for spec in pod_specs(manifests)
        for container in (*spec.get("initContainers", ()), *spec["containers"])
    ]


def environ_of(container: Manifest, manifests: list[Manifest]) -> dict[str, str]:
    """The variables that a container would see, from the chart's own ConfigMap and Secret."""
    objects = {(m["kind"], m["metadata"]["name"]): m.get("data", {}) for m in manifests}
    environ: dict[str, str] = {}
    for source in container["envFrom"]:
        environ |= objects["ConfigMap", source["configMapRef"]["name"]]
    for variable in container["env"]:
        if "value" in variable:
            environ[variable["name"]] = variable["value"]
            continue
        reference = variable["valueFrom"]["secretKeyRef"]
        kept = objects.get(("Secret", reference["name"]))
        if reference.get("optional") and reference["key"] not in (kept or {}):
            continue
        encoded = kept[reference["key"]] if kept is not None else ""
        environ[variable["name"]] = base64.b64decode(encoded).decode()
    return environ
