"""Import MLflow's server without libraries that the hosted part of it never uses.

MLflow's server half does not compute on data: as `mlflow-skinny` it runs without the data-science libraries, and
takes the same path when they cannot be imported. Alembic, by way of Mako, takes Pygments only to colour tracebacks.
The gateway, which is not hosted, needs one exception class of FastAPI's. Hiding all that while MLflow is imported
saves a second and a half of start-up and 90 MB in every process that serves.

MLflow's own user management is not hosted either. Its search of runs tries to import it each time, which without
Flask-WTF fails after a tenth of a second, and once after two seconds that bring FastAPI in: it stays hidden for good.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

USERS = "mlflow.server.auth"
HIDDEN = frozenset({"matplotlib", "numpy", "pandas", "pyarrow", "pygments", "scipy", "sklearn", "torch"})


class _Hide(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


@contextmanager
def without_unused_libraries() -> Iterator[None]:
    """Inside the block nothing in HIDDEN can be imported, unless it was before, and FastAPI is its exception."""
    hide = _Hide()
    stand_in = None if "fastapi" in sys.modules else _fastapi()
    sys.meta_path.insert(0, hide)
    if stand_in:
        sys.modules["fastapi"] = stand_in
    try:
        yield
    finally:
        sys.modules.setdefault(USERS, None)  # type: ignore[arg-type]  # how Python is told that there is no such module
        sys.meta_path.remove(hide)
        if stand_in:
            del sys.modules["fastapi"]


def _fastapi() -> ModuleType:
    from starlette.exceptions import HTTPException  # the base class of FastAPI's

    module = ModuleType("fastapi")
    module.HTTPException = HTTPException  # type: ignore[attr-defined]
    return module
