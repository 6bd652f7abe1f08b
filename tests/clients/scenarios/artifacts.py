"""Files of runs, up and down, through the registry's proxy."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import requests
from mlflow.tracking import MlflowClient
from proof import PREFIX, knows, proven, refused, shortcoming

MIB = 1024 * 1024
NAMES = {
    "spaces": "with some spaces.txt",
    "letters that are not ASCII": "ünï-日本-🙂.txt",
    "%": "100%.txt",
    "& + = ; ,": "a&b+c=d;e,f.txt",
}
SPOILED = {"#": ("a#b.txt", "a"), "% and two digits": ("a%41b.txt", "aAb.txt")}
"""What every client puts into its URL as it is, and the name that arrives."""
client = MlflowClient()


def files(run_id: str, folder: Path) -> None:
    (folder / "up" / "sub").mkdir(parents=True)
    (folder / "up" / "one.txt").write_text("one")
    (folder / "up" / "sub" / "two.bin").write_bytes(b"\0\xff" * 100)
    with proven("MlflowClient.log_artifact, log_artifacts"):
        client.log_artifact(run_id, str(folder / "up" / "one.txt"))
        client.log_artifacts(run_id, str(folder / "up"), "all")
    with proven("MlflowClient.list_artifacts"):
        assert [(i.path, i.is_dir, i.file_size) for i in client.list_artifacts(run_id)] == [
            ("all", True, None),
            ("one.txt", False, 3),
        ]
        assert [(i.path, i.is_dir) for i in client.list_artifacts(run_id, "all")] == [
            ("all/one.txt", False),
            ("all/sub", True),
        ]
        assert client.list_artifacts(run_id, "one.txt") == []
    with proven("MlflowClient.download_artifacts: a file, a folder"):
        assert Path(client.download_artifacts(run_id, "one.txt", str(folder))).read_text() == "one"
        down = Path(client.download_artifacts(run_id, "all", str(folder)))
        assert (down / "sub" / "two.bin").read_bytes() == b"\0\xff" * 100
    with proven("mlflow.artifacts.download_artifacts(runs:/…)"):
        assert Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/all/one.txt")).read_text() == "one"
    if knows(mlflow.artifacts, "list_artifacts", "mlflow.artifacts.list_artifacts"):
        with proven("mlflow.artifacts.list_artifacts"):
            listed = mlflow.artifacts.list_artifacts(f"runs:/{run_id}/all")
            assert [i.path.rpartition("/")[2] for i in listed] == ["one.txt", "sub"], listed
    with proven("a file that is written again"):
        (folder / "one.txt").write_text("again")
        client.log_artifact(run_id, str(folder / "one.txt"))
        assert Path(client.download_artifacts(run_id, "one.txt", str(folder))).read_text() == "again"
    with proven("a folder that is deep, an empty file"):
        deep = "/".join(f"level-{i}" for i in range(20))
        (folder / "empty").write_bytes(b"")
        client.log_artifact(run_id, str(folder / "empty"), deep)
        assert [(i.path, i.file_size) for i in client.list_artifacts(run_id, deep)] == [(f"{deep}/empty", 0)]
        assert Path(client.download_artifacts(run_id, f"{deep}/empty", str(folder))).read_bytes() == b""


def names(run_id: str, folder: Path) -> None:
    for what, name in NAMES.items():
        with proven(f"a file name with {what}"):
            (folder / name).write_text(name)
            client.log_artifact(run_id, str(folder / name), f"names {len(name)}")
            assert [i.path for i in client.list_artifacts(run_id, f"names {len(name)}")] == [
                f"names {len(name)}/{name}"
            ]
            (folder / "down").mkdir(exist_ok=True)
            down = client.download_artifacts(run_id, f"names {len(name)}/{name}", str(folder / "down"))
            assert Path(down).read_text() == name
    with refused("a file name with ?", "clients send `a`, which is another file", "no query"):
        (folder / "a?b.txt").write_text("")
        client.log_artifact(run_id, str(folder / "a?b.txt"))
    for what, (name, arriving) in SPOILED.items():
        with shortcoming(f"a file name with {what}", f"the client asks for `{arriving}` when it means `{name}`"):
            (folder / name).write_text(name)
            client.log_artifact(run_id, str(folder / name), f"spoiled {len(name)}")
            assert [i.path for i in client.list_artifacts(run_id, f"spoiled {len(name)}")] == [
                f"spoiled {len(name)}/{arriving}"
            ]


@contextmanager
def switched_on(variable: str) -> Iterator[set[str]]:
    """Yields the addresses that requests go to meanwhile: the client says no word when it gives up on it."""
    os.environ[variable] = "true"
    send, addresses = requests.Session.send, set()

    def watched(session: requests.Session, request: requests.PreparedRequest, **options: object) -> requests.Response:
        addresses.add(urlsplit(request.url).netloc)
        return send(session, request, **options)

    requests.Session.send = watched
    try:
        yield addresses
    finally:
        requests.Session.send = send
        del os.environ[variable]


def large(run_id: str, folder: Path) -> None:
    os.environ["MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"] = str(5 * MIB)
    os.environ["MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE"] = str(5 * MIB)
    os.environ["MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE"] = str(5 * MIB)
    (folder / "large").write_bytes(os.urandom(12 * MIB))
    (folder / "back").mkdir()
    registry = urlsplit(mlflow.get_tracking_uri()).netloc

    def goes_round(path: str) -> bool:
        client.log_artifact(run_id, str(folder / "large"), path)
        down = Path(client.download_artifacts(run_id, f"{path}/large", str(folder / "back")))
        return down.read_bytes() == (folder / "large").read_bytes()

    with proven("a file of 12 MiB, up and down in one stream each"):
        assert goes_round("streamed")
    for variable in ("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"):
        call = f"{variable}: parts go by presigned URLs"
        if knows(sys.modules.get("mlflow.environment_variables"), variable, call):
            with proven(call), switched_on(variable) as addresses:
                assert goes_round(variable.lower())
                assert addresses > {registry}, addresses


def main() -> None:
    mlflow.set_experiment(f"{PREFIX}/artifacts")
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
        files(run.info.run_id, Path(folder))
        names(run.info.run_id, Path(folder))
        large(run.info.run_id, Path(folder))
        with refused("download_artifacts: one that there is not", "as MLflow says", ""):
            client.download_artifacts(run.info.run_id, "nothing/here.txt", folder)


if __name__ == "__main__":
    main()
