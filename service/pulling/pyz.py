"""The puller as one file, which any Python from 3.9 on runs: `python -m service.pulling.pyz pull.pyz`."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

START = b"#!/usr/bin/env python3\n"
MAIN = "import sys\n\nfrom service.pulling.__main__ import main\n\nsys.exit(main())\n"
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)


def pyz() -> bytes:
    """The same bytes for the same sources."""
    here = Path(__file__).parent
    files = {"__main__.py": MAIN, "service/__init__.py": ""}
    files.update({f"service/pulling/{path.name}": path.read_text("utf-8") for path in sorted(here.glob("*.py"))})
    target = io.BytesIO(START)
    target.seek(0, io.SEEK_END)
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, _FIRST_DAY), text, zipfile.ZIP_DEFLATED)
    return target.getvalue()


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(pyz())
