"""docs/mlflow-compatibility.md: which calls of which client were proven, as the scenarios said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.clients.running import Proof

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "mlflow-compatibility.md"
MARK = "<!-- From here on `make compatibility` writes. -->\n"
AREAS = {
    "tracking": "Experiments and runs",
    "registry": "Models, versions and stages",
    "artifacts": "Artifacts",
    "serving": "`mlflow models`",
    "cli": "Other commands of `mlflow`",
}
CELLS = {"proven": "yes", "refused": "refused", "shortcoming": "client", "absent": "–", "failed": "failed"}

Row = tuple[str, str]
"""(area, call)"""
Table = dict[Row, dict[str, str]]
"""For each row the cells by client (none when it said nothing), and under NOTE what is to be said of the call."""
NOTE = "note"


def tabled(said: Mapping[tuple[str, str], Sequence[Proof]]) -> Table:
    """`said` is by (client, area)."""
    table: Table = {}
    for area in AREAS:
        for row in _merged([[proof.call for proof in said[key]] for key in said if key[1] == area]):
            table[area, row] = {}
    for (client, area), proofs in said.items():
        for proof in proofs:
            cells = table[area, proof.call]
            cells[client] = CELLS[proof.state]
            if proof.why:
                cells[NOTE] = proof.why
    return table


def _merged(lists: Iterable[list[str]]) -> list[str]:
    """All calls, each once, in an order that agrees with the first list and is near to the others."""
    merged: list[str] = []
    for calls in lists:
        place = 0
        for call in calls:
            if call in merged:
                place = merged.index(call) + 1
            else:
                merged.insert(place, call)
                place += 1
    return merged


def written(table: Table, clients: Sequence[str]) -> str:
    lines = []
    for area, title in AREAS.items():
        lines += [f"\n## {title}\n", f"| | {' | '.join(clients)} | |", "|---" * (len(clients) + 2) + "|"]
        for (of, call), cells in table.items():
            if of == area:
                row = [_escaped(call), *(cells.get(client, "") for client in clients), _escaped(cells.get(NOTE, ""))]
                lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
