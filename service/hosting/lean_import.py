"""Import MLflow's server without the data-science libraries it would pull in.

MLflow's server half does not compute on data: as `mlflow-skinny` it runs without these libraries, and takes the
same path when they cannot be imported. Hiding them while it is imported saves a second of start-up and 90 MB in
every process that serves.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

HIDDEN = frozenset({"matplotlib", "numpy", "pandas", "pyarrow", "scipy", "sklearn", "torch"})


class _Hide(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


@contextmanager
def without_data_libraries() -> Iterator[None]:
    """Nothing in HIDDEN can be imported inside the block, unless it was imported before."""
    hide = _Hide()
    sys.meta_path.insert(0, hide)
    try:
        yield
    finally:
        sys.meta_path.remove(hide)
