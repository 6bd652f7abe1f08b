"""What MLflow finds by its entry points `mlflow.tracking_store` and `mlflow.model_registry_store`.

Every process that imports MLflow loads this module, so it imports the stores themselves only when one is made. The URI
`model-registry:` names the database of the service's settings: no credentials are in it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from service.settings import Settings

if TYPE_CHECKING:
    from service.hosting.registry_store import RegistryStore
    from service.hosting.tracking_store import TrackingStore

SCHEME = "model-registry"
STORE_URI = f"{SCHEME}:/"


def make_tracking_store(store_uri: str, artifact_uri: str | None) -> TrackingStore:
    from service.hosting.tracking_store import TrackingStore

    return TrackingStore(Settings.from_env(os.environ).database_url, artifact_uri)


def make_registry_store(store_uri: str) -> RegistryStore:
    from service.hosting.registry_store import RegistryStore

    return RegistryStore(Settings.from_env(os.environ).database_url)
