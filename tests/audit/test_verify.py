"""Tampering is found: in the database by whoever may do anything there, and in an export."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from service.cli import main
from service.domain.audit import GENESIS, AuditQuery
from service.settings import Settings
from service.stores.postgres import PostgresRegistry

ROOT = Path(__file__).parents[2]
Run = Callable[..., Result]
UPDATE = "UPDATE registry.audit SET"
# what somebody does, the first broken row, what is wrong with it
TAMPERED = {
    "a changed actor": (f"{UPDATE} actor = 'nobody' WHERE seq = 3", 3, "its content is not what was recorded"),
    "a changed time": (f"{UPDATE} at = at + interval '1 us' WHERE seq = 1", 1, "its content is not"),
    "changed content": (f"""{UPDATE} after = '{{"number": 7}}' WHERE seq = 5""", 5, "its content is not"),
    "content that is no object": (f"{UPDATE} after = '5' WHERE seq = 4", 4, "its content is not"),
    "another hash": (f"{UPDATE} hash = repeat('a', 64) WHERE seq = 2", 2, "its content is not"),
    "another previous hash": (f"{UPDATE} previous = repeat('a', 64) WHERE seq = 2", 2, "its content is not"),
    "a deleted first row": ("DELETE FROM registry.audit WHERE seq = 1", 1, "it is missing: the next one is row 2"),
    "a deleted middle row": ("DELETE FROM registry.audit WHERE seq = 3", 3, "it is missing: the next one is row 4"),
    "two deleted rows": ("DELETE FROM registry.audit WHERE seq IN (2, 3)", 2, "it is missing: the next one is row 4"),
    "two swapped rows": (
        f"{UPDATE} seq = -seq WHERE seq IN (2, 3); {UPDATE} seq = 5 + seq WHERE seq < 0",
        2,
        "content",
    ),
    "a time that is none": (f"{UPDATE} at = 'infinity' WHERE seq = 2", 2, "content"),
}


@pytest.fixture
def tamper(owner: sa.Engine, trail: PostgresRegistry) -> Callable[[str], None]:
    def run(statements: str) -> None:
        with owner.begin() as connection:
            connection.execute(sa.text("ALTER TABLE registry.audit DISABLE TRIGGER ALL"))
            for statement in statements.split(";"):
                connection.execute(sa.text(statement))

    return run


@pytest.fixture
def cli(settings: Settings) -> Run:
    """The command with the settings of the service in its environment."""
    environ = {
        "MODEL_REGISTRY_DATABASE_URL": settings.database_url,
        "MODEL_REGISTRY_S3_ENDPOINT": settings.s3.endpoint,
        "MODEL_REGISTRY_S3_ACCESS_KEY": settings.s3.access_key,
        "MODEL_REGISTRY_S3_SECRET_KEY": settings.s3.secret_key,
        "MODEL_REGISTRY_S3_BUCKET": settings.s3.bucket,
        "MODEL_REGISTRY_PUBLIC_URL": settings.public_url,
    }

    def run(*words: str, data: bytes = b"") -> Result:
        return CliRunner().invoke(main, ["audit", *words], env=environ, input=data)

    return run


def head(trail: PostgresRegistry) -> str:
    with trail.transaction() as tx:
        return tx.audit.head()[1]


def test_a_sound_trail(cli: Run, trail: PostgresRegistry) -> None:
    done = cli("verify")
    assert done.exit_code == 0, done.output
    assert done.output == f"5 rows, none changed and none missing; the hash of the last one is {head(trail)}\n"


def test_an_empty_trail(cli: Run) -> None:
    done = cli("verify")
    assert (done.exit_code, done.output.split(",")[0]) == (0, "0 rows")
    assert done.output.endswith(f"{GENESIS}\n")


def test_tampering_is_found(cli: Run, tamper: Callable[[str], None], owner: sa.Engine) -> None:
    for what, (statements, seq, complaint) in TAMPERED.items():
        with owner.begin() as connection:
            connection.execute(sa.text("CREATE TABLE kept AS SELECT * FROM registry.audit"))
        tamper(statements)
        found = cli("verify")
        assert found.exit_code == 1, what
        assert found.output.startswith(f"Error: the audit trail is broken at row {seq}: "), (what, found.output)
        assert complaint in found.output, (what, found.output)
        tamper("DELETE FROM registry.audit; INSERT INTO registry.audit SELECT * FROM kept; DROP TABLE kept")
        assert cli("verify").exit_code == 0, what


def test_a_cut_end_is_found_by_a_hash_that_was_noted(
    cli: Run, trail: PostgresRegistry, tamper: Callable[[str], None]
) -> None:
    noted = head(trail)
    assert cli("verify", "--head", noted.upper()).exit_code == 0
    with trail.transaction() as tx:
        second = tx.audit.chain(AuditQuery(), 2)[1].hash
    tamper("DELETE FROM registry.audit WHERE seq > 3")
    assert cli("verify").exit_code == 0
    assert cli("verify", "--head", second).exit_code == 0
    found = cli("verify", "--head", noted)
    assert found.exit_code == 1
    assert found.output == (
        f"Error: the audit trail is broken at row 4: the trail ends before the row whose hash is {noted}\n"
    )


def test_an_export_is_verified_without_a_database(cli: Run, trail: PostgresRegistry, tmp_path: Path) -> None:
    lines = cli("export").stdout_bytes
    assert lines.count(b"\n") == 5
    file = tmp_path / "audit.jsonl"
    file.write_bytes(lines)
    done = CliRunner().invoke(main, ["audit", "verify", "--file", str(file), "--head", head(trail)])
    assert done.output.startswith("5 rows, none changed"), done.output
    for line, row in enumerate(map(json.loads, lines.splitlines()), 1):
        assert row["seq"] == line
        assert row["after"] == {"number": line}
        assert row["at"] == "2026-03-01T12:00:00.000000Z"


def test_the_check_in_the_documentation(cli: Run, trail: PostgresRegistry) -> None:
    text = (ROOT / "docs" / "audit.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    lines = cli("export").stdout_bytes
    for data, code, said in ((lines, 0, f"5 {head(trail)}\n"), (lines.replace(b"operator", b"somebody", 1), 1, "")):
        done = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True)
        assert (done.returncode, done.stdout.decode()) == (code, said), done.stderr


def test_broken_exports(cli: Run, trail: PostgresRegistry) -> None:
    rows = cli("export").stdout_bytes.splitlines(keepends=True)
    number, surrogate = rows[2].replace(b'{"number":3}', b'{"number":NaN}'), rows[2].replace(b"thing", b"\\ud800")
    local = rows[2].replace(b"12:00:00.000000Z", b"13:00:00.000000+01:00")
    broken = {
        b"".join([rows[0], rows[2]]): "row 2: it is missing",
        b"".join([rows[0], rows[1], rows[0]]): "row 1: it comes after row 2",
        b"".join([rows[1], rows[0]]): "row 1: it is missing",
        b"".join([*rows[:2], number]): "row 3: its content",
        b"".join([*rows[:2], surrogate]): "row 3: its content",
        b"".join([*rows[:2], local]): "line 3: it is not a row",
        rows[0][:-20]: "line 1: it is not a row",
        b"[]\n": "line 1: it is not a row",
        b"\xff\n": "line 1: it is not a row",
        b"[" * 100_000 + b"\n": "line 1: it is not a row",
        rows[0].replace(b'"seq":1', b'"seq":true'): "line 1: it is not a row",
        rows[0].replace(b'"seq":1', b'"more":1,"seq":1'): "line 1: it is not a row",
        rows[0].replace(b'"workspace":""', b'"workspace":1'): "line 1: it is not a row",
        rows[0].replace(b'"subject":"",', b""): "line 1: it is not a row",
    }
    for data, complaint in broken.items():
        found = cli("verify", "--file", "-", data=data)
        assert found.exit_code == 1
        assert complaint in found.output, (complaint, found.output, data[:300])
