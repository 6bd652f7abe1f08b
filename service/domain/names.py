"""Names that appear in URLs, object keys and scopes."""

from __future__ import annotations

import re

from service.domain.errors import InvalidInput

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_STAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,61}[A-Za-z0-9])?")
_MODEL_FORBIDDEN = re.compile(r"[/:\x00-\x1f\x7f\ud800-\udfff]")

SLUG_PATTERN = f"^{_SLUG.pattern}$"
STAGE_PATTERN = f"^{_STAGE.pattern}$"
MODEL_NAME_LENGTH = 256


def check_slug(kind: str, name: str) -> str:
    """The name of a workspace or an environment: 1 to 63 of a-z, 0-9, `.`, `_`, `-`.

    Raises:
        InvalidInput: naming `kind` as the field.
    """
    if not _SLUG.fullmatch(name) or ".." in name:
        raise InvalidInput(
            f"{name[:80]!r} cannot be the name of the {kind}: use 1 to 63 of a-z, 0-9, '.', '_', '-', "
            "beginning and ending with a letter or digit.",
            field=kind,
        )
    return name


def check_stage(name: str) -> str:
    """A stage name: 1 to 63 letters, digits, spaces, `.`, `_`, `-`; `None` means no stage in MLflow.

    Raises:
        InvalidInput: naming the field `stage`.
    """
    if not _STAGE.fullmatch(name) or name.casefold() == "none":
        raise InvalidInput(
            f"{name!r} is not a stage name: use 1 to 63 letters, digits, spaces, '.', '_', '-'; 'None' is taken.",
            field="stage",
        )
    return name


def check_model_name(name: str) -> str:
    """A registered model's name as MLflow allows it: no `/`, `:` or control characters, 1 to 256 long.

    Raises:
        InvalidInput: naming the field `model`.
    """
    if not name.strip() or len(name) > MODEL_NAME_LENGTH or _MODEL_FORBIDDEN.search(name) or name in (".", ".."):
        raise InvalidInput(
            f"{name[:80]!r} is not a model name: use 1 to {MODEL_NAME_LENGTH} characters without '/' and ':'.",
            field="model",
        )
    return name
