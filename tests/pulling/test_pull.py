"""`model-registry pull` against a running registry: what it places, what it says, and what it ends with."""

from __future__ import annotations

import os
import pty
import random
import select
import subprocess
from pathlib import Path

import pytest

from tests.pulling.site import REF, STAGE, Done, Site, contents, ended, until, whole

LARGE = random.Random(1).randbytes(3_000_000)
FIRST = {"model.pkl": b"41", "data/a b/ü#?%.bin": LARGE, "empty": b""}
SECOND = {"model.pkl": b"42", "code/predict.py": b"print()"}


@pytest.fixture(scope="module")
def versions(shared_site: Site) -> tuple[int, int]:
    return shared_site.register(FIRST), shared_site.register(SECOND)


@pytest.mark.parametrize("via", ["auto", "files", "archive"])
def test_pull(via: str, site: Site, versions: tuple[int, int], to: Path) -> None:
    first, second = versions
    digest = site.hold(first)
    placed = site.pull(to, "--via", via)
    assert placed == Done(0, f"placed orders {first} {digest}\n", placed.err)
    assert contents(to) == whole(FIRST)
    assert f"orders version {first}" in placed.err
    assert "100 %" in placed.err
    again = site.pull(to, "--via", via)
    assert again == Done(0, f"unchanged orders {first} {digest}\n", "")
    after = site.hold(second)
    assert site.pull(to, "--via", via, "--quiet") == Done(0, f"placed orders {second} {after}\n", "")
    assert contents(to) == whole(SECOND)
    assert contents(to.with_name("orders.versions") / digest.removeprefix("sha256:")) == whole(FIRST)


def test_back_to_the_one_before_needs_no_bytes(site: Site, versions: tuple[int, int], to: Path) -> None:
    digests = [site.hold(number) for number in versions if site.hold(number) and site.pull(to).code == 0]
    connections = site.relay.connections
    assert site.hold(versions[0]) == digests[0]
    assert site.pull(to).out == f"placed orders {versions[0]} {digests[0]}\n"
    assert site.relay.connections == connections
    assert contents(to) == whole(FIRST)


def test_only_as_many_versions_stay_as_asked(site: Site, versions: tuple[int, int], to: Path) -> None:
    beside = to.with_name("orders.versions")
    for number, count in zip(versions, (1, 1), strict=True):
        digest = site.hold(number).removeprefix("sha256:")
        assert site.pull(to, "--keep", "0").code == 0
        assert {path.name for path in beside.iterdir()} == {".lock", digest, f"{digest}.json"}
        assert len([path for path in beside.iterdir() if path.is_dir()]) == count


def test_a_copy_that_was_changed_is_replaced(site: Site, versions: tuple[int, int], to: Path) -> None:
    site.hold(versions[0])
    assert site.pull(to).code == 0
    old = to.resolve()
    (to / "model.pkl").chmod(0o644)
    (to / "model.pkl").write_bytes(b"00")
    assert site.pull(to).out.startswith("placed ")
    assert contents(to) == whole(FIRST)
    assert to.resolve() != old, "it was swapped as a whole"


def test_it_goes_on_where_it_was_killed(site: Site, versions: tuple[int, int], to: Path) -> None:
    site.hold(versions[0])
    site.relay.rate = 2_000_000
    killed = subprocess.Popen(site.command(to), env=site.environ(), stderr=subprocess.DEVNULL)
    before = site.relay.given
    until(lambda: site.relay.given - before > 1_500_000)
    killed.kill()
    killed.wait()
    assert not to.exists()
    site.relay.rate = None
    before = site.relay.given
    assert site.pull(to).code == 0
    assert site.relay.given - before < 2_000_000
    assert contents(to) == whole(FIRST)


def test_the_archive_when_the_object_store_cannot_be_reached(site: Site, versions: tuple[int, int], to: Path) -> None:
    digest = site.hold(versions[0])
    site.relay.shut = True
    only = site.pull(to, "--via", "files", "--retry-for", "1")
    assert (only.code, only.out) == (4, "")
    assert "The object store: 127.0.0.1" in only.err
    either = site.pull(to, "--retry-for", "1")
    assert (either.code, either.out) == (0, f"placed orders {versions[0]} {digest}\n")
    assert "Trying the registry's archive." in either.err
    assert contents(to) == whole(FIRST)


def test_without_the_registry_the_last_copy_stays(site: Site, versions: tuple[int, int], to: Path) -> None:
    gone = ("--url", "http://127.0.0.1:1", "--retry-for", "0")
    digest = site.hold(versions[0])
    nothing = site.pull(to, *gone)
    assert (nothing.code, nothing.out) == (4, "")
    assert "127.0.0.1:1 does not answer" in nothing.err
    assert site.pull(to).code == 0
    told = f"offline orders {versions[0]} {digest}\n"
    last = site.pull(to, *gone)
    assert (last.code, last.out) == (6, told)
    assert f"still holds version {versions[0]}, verified" in last.err
    content = site.pull(to, "--offline-ok", *gone)
    assert (content.code, content.out) == (0, told)
    (to / "model.pkl").chmod(0o644)
    (to / "model.pkl").write_bytes(b"00")
    assert site.pull(to, "--offline-ok", *gone).code == 4


def test_what_the_registry_refuses(site: Site, versions: tuple[int, int], to: Path) -> None:
    site.hold(versions[0])
    for secret, told in (("", "A valid token is needed"), (site.new_token("read:qa"), "does not allow this")):
        refused = site.pull(to, MODEL_REGISTRY_TOKEN=secret)
        assert (refused.code, refused.out) == (3, "")
        assert told in refused.err
    absent = ended([*site.command(to), "--url", site.url + "/absent"], site.environ())
    assert absent.code == 3
    command = [part if part != REF else "prod/absent/Production" for part in site.command(to)]
    absent = ended(command, site.environ())
    assert absent.code == 3
    assert "No such model: There is no model 'absent'." in absent.err
    assert not to.exists()


def test_the_command_line(site: Site, to: Path) -> None:
    for wrong in (["prod/orders"], ["--jobs", "0"], ["--via", "ftp"], ["--retry-for", "x"]):
        done = ended([*site.command(to), *wrong], site.environ())
        assert (done.code, done.out) == (2, ""), wrong
    assert (
        "not of the form ENVIRONMENT/MODEL/STAGE"
        in ended([part if part != REF else "prod/orders" for part in site.command(to)], site.environ()).err
    )
    assert site.pull(to, "--url", "ftp://registry").code == 1
    helped = ended([*site.command(to)[:3], "--help"], site.environ())
    assert helped.code == 0
    assert all(f"\n  {code}  " in helped.out for code in range(9))


def test_what_is_at_the_target_already(site: Site, versions: tuple[int, int], to: Path, tmp_path: Path) -> None:
    site.hold(versions[0])
    to.mkdir(parents=True)
    (to / "notes.txt").write_text("mine")
    refused = site.pull(to)
    assert (refused.code, refused.out) == (7, "")
    assert "is a folder with something in it" in refused.err
    assert contents(to) == {"notes.txt": b"mine"}
    (to / "notes.txt").unlink()
    assert site.pull(to).code == 0, "an empty folder may be replaced"
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("mine")
    link.symlink_to(to)
    for other in (file, link):
        assert site.pull(other).code == 7
    assert file.read_text() == "mine"


def test_two_pullers_on_one_target(site: Site, versions: tuple[int, int], to: Path) -> None:
    site.hold(versions[0])
    follower = subprocess.Popen(
        site.command(to, "--follow"), env=site.environ(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert follower.stdout is not None
        assert follower.stdout.readline().startswith("placed ")
        refused = site.pull(to)
        assert refused.code == 7
        assert f"Another puller (process {follower.pid}) works on" in refused.err
    finally:
        follower.terminate()
        assert follower.wait(10) == 128 + 15
        follower.stdout.close()
    assert site.pull(to).code == 0


def test_a_command_after_the_swap(site: Site, versions: tuple[int, int], to: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    line = f'echo "$MODEL_REGISTRY_VERSION $MODEL_REGISTRY_DIGEST $MODEL_REGISTRY_PATH" >> {told}; cat {to}/model.pkl'
    digest = site.hold(versions[0])
    first = site.pull(to, "--exec", line)
    assert (first.code, first.out) == (0, f"placed orders {versions[0]} {digest}\n")
    assert first.err.endswith("41")
    assert told.read_text() == f"{versions[0]} {digest} {to}\n"
    assert site.pull(to, "--exec", line).code == 0
    assert told.read_text().count("\n") == 1, "nothing was swapped"
    site.hold(versions[1])
    failed = site.pull(to, "--exec", "exit 3")
    assert (failed.code, failed.out) == (8, "")
    assert f"ended with 3; {to} holds version {versions[1]}" in failed.err
    assert contents(to) == whole(SECOND)
    assert site.pull(to).code == 0
    assert site.pull(to, "--exec", line).code == 0
    assert told.read_text().count("\n") == 2, "it was still owed"


def test_a_token_from_a_file(site: Site, versions: tuple[int, int], to: Path, tmp_path: Path) -> None:
    site.hold(versions[0])
    file = tmp_path / "token"
    missing = site.pull(to, "--token-file", str(file))
    assert missing.code == 1
    assert f"The token file {file} cannot be read" in missing.err
    file.write_text(f"{site.token}\n")
    assert site.pull(to, "--token-file", str(file), MODEL_REGISTRY_TOKEN="").code == 0


def test_a_bar_on_a_terminal(site: Site, versions: tuple[int, int], to: Path) -> None:
    site.hold(versions[0])
    ours, theirs = pty.openpty()
    process = subprocess.Popen(site.command(to), env=site.environ(), stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    seen = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            seen += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait(60) == 0
    assert b"\r\x1b[K" in seen
    assert b"[########################]  100 %  2.9 MiB of 2.9 MiB" in seen


def test_follow(site: Site, versions: tuple[int, int], to: Path, tmp_path: Path) -> None:
    """The registry holds its answer back until there is something to tell: a question each 30 s would be too late."""
    told = tmp_path / "told"
    site.hold(versions[0])
    command = site.command(to, "--follow", "--exec", f"echo $MODEL_REGISTRY_VERSION >> {told}")
    log = (tmp_path / "log").open("w+")
    follower = subprocess.Popen(command, env=site.environ(), stdout=log, stderr=subprocess.STDOUT)
    try:
        until(lambda: told.exists() and told.read_text() == f"{versions[0]}\n", 20)
        assert contents(to) == whole(FIRST)
        site.hold(versions[1])
        until(lambda: told.read_text() == f"{versions[0]}\n{versions[1]}\n", 20)
        assert contents(to) == whole(SECOND)
        site.kill_service()
        until(site.answers)
        site.hold(versions[0])
        until(lambda: told.read_text().splitlines()[2:] == [str(versions[0])], 20)
        assert contents(to) == whole(FIRST)
    finally:
        follower.terminate()
        follower.wait(10)
        log.close()


def test_what_runs_is_told(site: Site, versions: tuple[int, int], to: Path) -> None:
    digest = site.hold(versions[0])
    told = site.pull(to, "--instance", "pod-1", MODEL_REGISTRY_TOKEN=site.new_token("read:prod"))
    assert (told.code, "not told" in told.err) == (0, False)
    (instance,) = site.get(f"{STAGE}/instances")["instances"]
    assert (instance["id"], instance["digest"], instance["drift"]) == ("pod-1", digest, "in-step")
    site.hold(versions[1])
    assert site.get(f"{STAGE}/instances")["instances"][0]["drift"] == "behind"
