"""What `model-registry gc` and `model-registry scrub` print."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from service.usecases.collect_leftovers import Garbage
from service.usecases.scrub import Scrubbed

Print = Callable[[str], object]
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def print_garbage(found: Iterable[Garbage], echo: Print, *, dry_run: bool) -> None:
    """A line for each folder, and the sum."""
    objects = size = waiting = 0
    for each in found:
        if each.due is not None:
            waiting += each.objects
            what = f"stays until {_time(each.due)}"
        else:
            objects += each.objects
            size += each.size
            what = "would go" if dry_run else "gone"
        echo(f"{what}: {each.folder} ({each.objects} objects, {_size(each.size)}): {each.why}")
    done = "would go" if dry_run else "are gone"
    later = f"; {waiting} more after the grace period" if waiting else ""
    echo(f"{objects} objects ({_size(size)}) {done}{later}")


def print_scrubbed(found: Iterator[Scrubbed], echo: Print) -> bool:
    """Names what is damaged, with whom that concerns and what to do; true when nothing is."""
    digests = files = size = damaged = 0
    for each in found:
        digests, files, size = digests + 1, files + each.files, size + each.size
        if each.damaged:
            damaged += 1
            _print_damaged(each, echo)
    echo(f"{digests} digests, {files} files, {_size(size)} verified; {damaged} digests are damaged")
    return not damaged


def _print_damaged(found: Scrubbed, echo: Print) -> None:
    echo(f"{found.digest} is damaged")
    for file in found.damaged:
        echo(f"  {file.path}: {file.what} ({file.key})")
    for model, number, places in found.versions:
        held = ", ".join(f"{place.environment}/{place.stage}" for place in places)
        echo(f"  it is version {number} of {model}" + (f", in {held}" if held else ""))
    echo("  restore these objects from a backup of the bucket, or import the model again; then scrub the digest again")


def _size(size: int) -> str:
    value, unit = float(size), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{size} B"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
