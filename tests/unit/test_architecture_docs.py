"""The layout in docs/architecture.md names what is there, and nothing else."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAYOUT = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").partition("service/\n")[2].partition("```")[0]
NAMED = set(re.findall(r"(?<![\w/.`*])[a-z_*]+(?:\.py\b|/(?=\s))", LAYOUT)) - {"migrations/"}


def test_every_room_and_module_is_in_the_layout() -> None:
    there = {f"{path.name}/" for path in (ROOT / "service").iterdir() if (path / "__init__.py").is_file()}
    there |= {path.name for path in (ROOT / "service").glob("*.py")} - {"__init__.py"}
    there.add("web/")
    inner = {path.name for path in (ROOT / "service").glob("*/*.py")}
    assert {name for name in there if not any(fnmatch(name, named) for named in NAMED)} == set()
    assert {named for named in NAMED if not any(fnmatch(name, named) for name in there | inner)} == set()
