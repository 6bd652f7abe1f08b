"""When a stage held the same bytes."""

from __future__ import annotations

from collections.abc import Sequence

from service.usecases.policy_ports import Stretch


def joined(stretches: Sequence[Stretch]) -> Sequence[Stretch]:
    """Stretches in order, those that touch made one: the same bytes under another number go on."""
    found: list[Stretch] = []
    for start, end in stretches:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found
