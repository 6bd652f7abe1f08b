"""A thousand watchers in one process: raw sockets, so that they cost little beside what they watch.

`python -m benchmarks.watchers HOST PORT TOKEN SECONDS PATH...` asks each path in turn with `?wait=60`, over COUNT
connections, and prints the monotonic time at which each revision was seen: a JSON object for each connection.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

COUNT = 1000
_LENGTH = re.compile(rb"[Cc]ontent-[Ll]ength: (\d+)")
_TAG = re.compile(rb"[Ee][Tt]ag: (\S+)")
_REVISION = re.compile(rb'"revision":(\d+)')


async def watch(host: str, port: int, token: str, path: str, seen: dict[int, float]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    tag = b'"none"'
    head = f"GET {path}?wait=60 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nIf-None-Match: ".encode()
    while True:
        writer.write(head + tag + b"\r\n\r\n")
        answer = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(answer)
        body = await reader.readexactly(int(length[1])) if length else b""
        if answer.startswith(b"HTTP/1.1 200"):
            tag = _group(_TAG, answer)
            seen[int(_group(_REVISION, body))] = time.monotonic()
        elif not answer.startswith(b"HTTP/1.1 304"):
            sys.exit(answer.decode())


def _group(pattern: re.Pattern[bytes], text: bytes) -> bytes:
    found = pattern.search(text)
    assert found is not None, text
    return found[1]


async def main(host: str, port: int, token: str, seconds: float, paths: list[str]) -> None:
    seen: list[dict[int, float]] = [{} for _ in range(COUNT)]
    tasks = []
    for number in range(COUNT):
        path = paths[number % len(paths)]
        tasks.append(asyncio.create_task(watch(host, port, token, path, seen[number])))
        if number % 50 == 49:
            await asyncio.sleep(0.05)
    while not all(seen):
        await asyncio.sleep(0.05)
    print("all are there", flush=True)
    _, ended = await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    if len(ended) != COUNT:
        sys.exit(f"{COUNT - len(ended)} watchers ended")
    for times in seen:
        print(json.dumps(times))


if __name__ == "__main__":
    host, port, token, seconds, *paths = sys.argv[1:]
    asyncio.run(main(host, int(port), token, float(seconds), paths))
