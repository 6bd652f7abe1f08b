"""gunicorn's entry."""

from __future__ import annotations

import os

from service.app import create_app
from service.hosting.mount import with_hosted_registry
from service.settings import Settings
from service.wiring import HURRIED, make_parts

settings = Settings.from_env(os.environ)
parts = make_parts(settings, patience=HURRIED)
app = with_hosted_registry(create_app(settings, parts), settings, parts)
