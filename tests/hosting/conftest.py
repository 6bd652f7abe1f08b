"""The whole service in this process: our API, the environments' views, and MLflow's application behind the guard."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from werkzeug.test import Client

from service.app import create_app
from service.hosting.mount import with_hosted_registry
from service.settings import Settings
from service.wiring import Parts

Caller = Callable[..., Client]


@pytest.fixture
def hosted_as(settings: Settings, parts: Parts, token: Callable[..., str]) -> Iterator[Caller]:
    """Make clients of the service, each with a token of the given scopes."""
    before = dict(os.environ)
    os.environ |= _environ(settings)
    application = with_hosted_registry(create_app(settings, parts), settings, parts)
    _forget_stores()

    def make(*scopes: str) -> Client:
        client = Client(application)
        secret = token(*scopes) if scopes else "none"
        return _Sending(client.application, {"Authorization": f"Bearer {secret}"})

    yield make
    _forget_stores()
    os.environ.clear()
    os.environ.update(before)


class _Sending(Client):
    """Sends headers with each request."""

    def __init__(self, application: object, headers: dict[str, str]) -> None:
        super().__init__(application)  # type: ignore[arg-type]
        self._headers = headers

    def open(self, *args: object, **given: object):  # type: ignore[no-untyped-def, override]
        headers = {**self._headers, **dict(given.pop("headers", {}) or {})}  # type: ignore[call-overload]
        return super().open(*args, headers=headers, buffered=True, **given)  # type: ignore[arg-type]


def _environ(settings: Settings) -> dict[str, str]:
    """What MLflow's server-side code of ours reads: `registry-objects:` finds the bucket by it."""
    return {
        "MODEL_REGISTRY_DATABASE_URL": settings.database_url,
        "MODEL_REGISTRY_S3_ENDPOINT": settings.s3.endpoint,
        "MODEL_REGISTRY_S3_ACCESS_KEY": settings.s3.access_key,
        "MODEL_REGISTRY_S3_SECRET_KEY": settings.s3.secret_key,
        "MODEL_REGISTRY_S3_BUCKET": settings.s3.bucket,
        "MODEL_REGISTRY_PUBLIC_URL": settings.public_url,
    }


def _forget_stores() -> None:
    """MLflow keeps its stores for the life of a process, and each test has a database of its own."""
    from mlflow.server import handlers

    handlers._tracking_store = None
    handlers._model_registry_store = None
    handlers._artifact_repo = None
