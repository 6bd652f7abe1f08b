"""gunicorn's entry."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from service.app import create_app
from service.hosting.mount import with_hosted_registry
from service.settings import Settings
from service.wiring import HURRIED, make_parts

settings = Settings.from_env(os.environ)
parts = make_parts(settings, patience=HURRIED)
serve = with_hosted_registry(create_app(settings, parts), settings, parts)


class Application:
    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return serve(environ, start_response)

    def stop(self) -> None:
        """The process is to end: those who wait for a change are let go."""
        parts.resolver.following.stop()


app = Application()
