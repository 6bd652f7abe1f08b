"""The console script. A pull starts in a serving cluster, thousands at once: it imports nothing of the rest."""

from __future__ import annotations

import sys


def main() -> None:
    if sys.argv[1:2] == ["pull"]:
        from service.pulling.__main__ import main as pull

        sys.exit(pull(sys.argv[2:], "model-registry pull"))
    from service.cli import main as run

    run()
