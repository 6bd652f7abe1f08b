"""A registry that answers what a test tells it to: the real one would not."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from service.domain.model import Manifest, ManifestFile

Answer = tuple[int, dict[str, str], bytes]


class Hostile(ThreadingHTTPServer):
    """`answers` by the end of the path, one after the other, the last one for ever.

    `seen`: path and headers of each request; `told`: the bodies of PUTs.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.told: list[Any] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def holds(self, files: Sequence[tuple[str, bytes]], /, **changed: Any) -> str:
        """Answer as for a version with these files; its digest. `changed`: members of the listing."""
        rows = [ManifestFile(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in files]
        digest = Manifest.of(rows).digest
        urls = [f"{self.url}/object/{number}" for number in range(len(files))]
        listed = [{**vars(row), "url": url} for row, url in zip(rows, urls, strict=True)]
        about = {"model": "orders", "version": 3, "digest": digest}
        self.answers["Production"] = [document({**about, "environment": "prod"}, ETag='"1"')]
        self.answers["files"] = [document({**about, "expires_in": 60, "files": listed, **changed})]
        for number, (_, data) in enumerate(files):
            self.answers[str(number)] = [(200, {}, data)]
        return digest


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Hostile)
        server.seen.append((self.path, dict(self.headers)))
        waiting = server.answers.get(self.path.partition("?")[0].rpartition("/")[2], [(404, {}, b"")])
        status, headers, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if status != 304:
            self.wfile.write(body)

    def do_PUT(self) -> None:
        assert isinstance(self.server, Hostile)
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


def document(content: object, status: int = 200, **headers: str) -> Answer:
    return status, {"Content-Type": "application/json", **headers}, json.dumps(content).encode()


def problem(status: int, slug: str, title: str, detail: str, **headers: str) -> Answer:
    about = {"type": f"urn:model-registry:problem:{slug}", "title": title, "status": status, "detail": detail}
    return document(about, status, **headers)


@contextmanager
def hostile() -> Iterator[Hostile]:
    with Hostile() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
