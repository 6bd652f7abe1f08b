"""What `model-registry import` shows: a bar on a terminal, plain lines elsewhere, on stderr; the result on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

STEP = 10
"""Per cent between two plain lines."""


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Gives what is called with the number of bytes that are done more."""
    if sys.stderr.isatty():
        with click.progressbar(length=total, label=label, file=sys.stderr) as bar:
            yield bar.update
        return
    done = told = 0

    def advance(count: int) -> None:
        nonlocal done, told
        done += count
        percent = done * 100 // max(total, 1)
        if percent >= told + STEP:
            told = percent - percent % STEP
            click.echo(f"{label}: {told} % of {total} bytes", err=True)

    yield advance


def print_import(import_: Mapping[str, Any]) -> None:
    """State and counts, one line each; what the export lacks goes to stderr."""
    click.echo(f"import {import_['id']} {import_['state']}")
    report = import_["report"] or {"counts": {}, "failed": []}
    for kind, counts in report["counts"].items():
        told = ", ".join(f"{counts[what]} {what}" for what in ("created", "updated", "skipped", "failed"))
        click.echo(f"{kind}: {told}")
    for row in report["failed"]:
        click.echo(f"not imported: {row['kind']} {row['name']}: {row['reason']}", err=True)
