"""Where MLflow's clients of 1.x look for the registry: below `preview/`, which its servers of 2.0 and later dropped."""

from __future__ import annotations

import re

_PREVIEW = re.compile("(/(?:ajax-)?api/2.0)/preview(/mlflow/(?:registered-models|model-versions)/.*)", re.DOTALL)


def without_preview(path: str) -> str:
    """The address that answers today; `path` itself when it is none of those."""
    found = _PREVIEW.fullmatch(path)
    return found[1] + found[2] if found else path
