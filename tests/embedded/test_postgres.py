"""The embedded PostgreSQL: it starts anywhere, keeps its data, and recovers from a crash."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import psycopg2
import pytest
import sqlalchemy as sa

from service.embedded.leftovers import mark_of, marked
from service.embedded.parts import PartError
from service.embedded.postgres import EmbeddedPostgres, start_postgres
from tests.embedded.waiting import gone, kill_all


def test_accepts_sqlalchemy_and_both_drivers(tmp_path: Path) -> None:
    with start_postgres(tmp_path / "pg") as server:
        assert server.url.startswith("postgresql+psycopg2://")
        engine = sa.create_engine(server.url)
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT current_database()")) == "registry"
        engine.dispose()
        with psycopg.connect(libpq(server)) as plain:
            assert plain.execute("SHOW fsync").fetchone() == ("on",)
            assert plain.execute("SHOW autovacuum").fetchone() == ("on",)
            assert plain.execute("SHOW listen_addresses").fetchone() == ("",)


def test_the_service_s_role_is_made_when_it_is_missing(tmp_path: Path) -> None:
    """As in a data directory of a release that had one role only."""
    with start_postgres(tmp_path / "pg") as server, psycopg.connect(libpq(server)) as owner:
        owner.execute("DROP ROLE registry_service")
    with start_postgres(tmp_path / "pg") as server:
        url = server.service_url.replace("+psycopg2", "")
        with psycopg.connect(url) as service:
            assert service.execute("SELECT current_user, current_database()").fetchone() == (
                "registry_service",
                "registry",
            )
            assert service.execute(
                "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication "
                "FROM pg_roles WHERE rolname = current_user"
            ).fetchone() == (False,)


def test_runs_as_an_ordinary_user(tmp_path: Path) -> None:
    """In a user namespace, root's own processes look like those of another user, and have no privileges."""
    namespace = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if os.geteuid() != 0 or not shutil.which("unshare") or subprocess.run([*namespace, "true"]).returncode:
        pytest.skip("needs root and user namespaces; without root all other tests run as an ordinary user")
    program = "import sys, os, pathlib; from service.embedded.postgres import start_postgres as s"
    program += "; assert os.geteuid() == 1000\nwith s(pathlib.Path(sys.argv[1])) as p: print(p.url)"
    command = [*namespace, sys.executable, "-c", program, str(tmp_path / "pg")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.startswith("postgresql+psycopg2://registry@/registry?host="), done.stderr


def test_only_its_own_user_may_connect(tmp_path: Path) -> None:
    with start_postgres(tmp_path / "pg") as server:
        sockets = Path(psycopg2.extensions.parse_dsn(libpq(server))["host"])
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        if os.geteuid() == 0:
            assert sockets.stat().st_uid != 0  # PostgreSQL refuses to run as root
    assert not sockets.exists()


def test_data_survives_a_restart_even_of_a_moved_directory(tmp_path: Path) -> None:
    with start_postgres(tmp_path / "pg") as server:
        insert(server, 42)
    (tmp_path / "pg").rename(tmp_path / "moved")
    with start_postgres(tmp_path / "moved") as server:
        assert select(server) == [42]


def test_long_path_with_spaces_and_quotes(tmp_path: Path) -> None:
    data = tmp_path / ("long " * 30 + "x") / "it's 100%?"
    with start_postgres(data) as server:
        insert(server, 1)
        assert select(server) == [1]


def test_committed_rows_survive_kill_9_of_all_processes(tmp_path: Path) -> None:
    data = tmp_path / "pg"
    server = EmbeddedPostgres(data)
    server.start()
    insert(server, 1)
    url = server.url
    kill_all(marked(mark_of(data, "postgres")))
    assert gone(mark_of(data, "postgres"))
    assert (data / "cluster" / "postmaster.pid").exists()
    again = EmbeddedPostgres(data)
    again.start()
    assert again.url == url, "the directory of the killed run was not used again"
    assert select(again) == [1]
    assert again.stop()
    assert not server.stop()


def test_a_recycled_process_number_in_the_lock_files_does_no_harm(tmp_path: Path) -> None:
    with start_postgres(tmp_path / "pg") as server:
        insert(server, 1)
    lines = [str(os.getpid()), str(tmp_path / "pg" / "cluster"), "1", "5432", "", "", "  1  1", "ready   "]
    (tmp_path / "pg" / "cluster" / "postmaster.pid").write_text("\n".join(lines))
    with start_postgres(tmp_path / "pg") as server:
        assert select(server) == [1]


def test_ends_a_server_that_was_left_behind(tmp_path: Path) -> None:
    data = tmp_path / "pg"
    first = EmbeddedPostgres(data)
    first.start()
    insert(first, 1)
    with start_postgres(data) as second:
        assert first.exit_code() == 0, "it was not shut down in order"
        assert select(second) == [1]
    first.stop()


def test_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = "import sys, time, pathlib; from service.embedded.postgres import EmbeddedPostgres as P"
    program += "; P(pathlib.Path(sys.argv[1])).start(); print('ready', flush=True); time.sleep(600)"
    command = [sys.executable, "-c", program, str(tmp_path / "pg")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        owner.kill()
    assert gone(mark_of(tmp_path / "pg", "postgres"))


def test_a_first_start_that_was_cut_off_is_repeated(tmp_path: Path) -> None:
    partial = tmp_path / "pg" / "cluster.new"
    partial.mkdir(parents=True)
    (partial / "PG_VERSION").write_text("18\n")
    with start_postgres(tmp_path / "pg") as server:
        insert(server, 1)


def test_says_what_is_wrong_with_unusable_data(tmp_path: Path) -> None:
    with start_postgres(tmp_path / "pg"):
        pass
    (tmp_path / "pg" / "cluster" / "PG_VERSION").write_text("9\n")
    with pytest.raises(PartError, match="PostgreSQL ended with exit code 1") as caught:
        EmbeddedPostgres(tmp_path / "pg").start()
    assert "version 9" in caught.value.log


def libpq(server: EmbeddedPostgres) -> str:
    return server.url.replace("+psycopg2", "")


def insert(server: EmbeddedPostgres, number: int) -> None:
    with psycopg.connect(libpq(server)) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT %s::int AS number", (number,))


def select(server: EmbeddedPostgres) -> list[int]:
    with psycopg.connect(libpq(server)) as connection:
        return [row[0] for row in connection.execute("SELECT number FROM numbers")]
