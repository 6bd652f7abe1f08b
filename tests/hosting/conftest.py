"""MLflow's application over our stores, in the tests' own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import mlflow.server  # noqa: F401 - whole, before it is loaded without what the service does not need
import pytest
import sqlalchemy as sa
from mlflow.server import handlers
from werkzeug.test import Client, TestResponse

from service.hosting.forwarding import Wsgi
from service.hosting.mount import load_mlflow, make_hosted
from service.settings import Settings
from service.wiring import Parts


class Authorized(Client):
    """Sends a token with every request."""

    def __init__(self, app: Wsgi, authorization: str) -> None:
        super().__init__(app)
        self._authorization = authorization

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        headers = {"Authorization": self._authorization, **kwargs.pop("headers", {})}
        return super().open(*args, headers=headers, **kwargs)


@pytest.fixture
def mlflow_app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wsgi]:
    """With stores of its own: MLflow keeps them for as long as the process lives."""
    for name in ("_tracking_store", "_model_registry_store"):
        monkeypatch.setattr(handlers, name, None)
    registries = (handlers._tracking_store_registry, handlers._model_registry_store_registry)
    for name, value in environ_of(settings).items():
        monkeypatch.setenv(name, value)
    yield load_mlflow(settings)
    for registry in registries:
        registry._get_store_with_resolved_uri.cache_clear()
    for store in (handlers._tracking_store, handlers._model_registry_store):
        if store is not None:
            store._dispose_engine()
            type(store)._engine_map.clear()


def environ_of(settings: Settings) -> dict[str, str]:
    """What a process of the service is started with."""
    return {
        "MODEL_REGISTRY_DATABASE_URL": settings.database_url,
        "MODEL_REGISTRY_S3_ENDPOINT": settings.s3.endpoint,
        "MODEL_REGISTRY_S3_ACCESS_KEY": settings.s3.access_key,
        "MODEL_REGISTRY_S3_SECRET_KEY": settings.s3.secret_key,
        "MODEL_REGISTRY_S3_BUCKET": settings.s3.bucket,
        "MODEL_REGISTRY_PUBLIC_URL": settings.public_url,
    }


@pytest.fixture
def hosted(
    settings: Settings, parts: Parts, engine: sa.Engine, mlflow_app: Wsgi, token: Callable[..., str]
) -> Callable[..., Client]:
    """Clients of the hosted registry by scopes and settings; without scopes one that has no token."""

    def make(*scopes: str, **changed: Any) -> Client:
        app = make_hosted(replace(settings, **changed), parts, mlflow_app)
        return Authorized(app, f"Bearer {token(*scopes)}") if scopes else Client(app)

    return make
