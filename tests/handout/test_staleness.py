"""What was answered is never older than what was written before it was asked for, whoever wrote and whoever answers."""

from __future__ import annotations

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.handout.conftest import STAGE, Database, Service

ROUNDS = 1000


def test_a_read_after_a_write_shows_it(services: tuple[Service, Service]) -> None:
    """Written through either service, read through both, over many connections to all four processes."""
    written = services[0].promote(2).json()["revision"]
    reads = 0

    def read(service: Service, floor: int) -> bool:
        with requests.Session() as session:
            answer = session.get(service.url + STAGE, headers=service.headers, timeout=30)
        return bool(answer.json()["revision"] >= floor)

    with ThreadPoolExecutor(8) as threads:
        for version in itertools.islice(itertools.cycle((1, 2)), ROUNDS // 8):
            answer = random.choice(services).promote(version)
            assert answer.status_code == 200, answer.text
            assert answer.json()["revision"] == written + 1
            written += 1
            asked = [threads.submit(read, service, written) for service in services for _ in range(4)]
            assert all(found.result() for found in asked)
            reads += len(asked)
    assert reads == ROUNDS


def test_a_read_beside_writes_never_goes_back(services: tuple[Service, Service], database: Database) -> None:
    """Each reader, over one connection, sees revisions that only grow, also while others write without any pause."""
    ended = threading.Event()
    floor = [0]

    def write() -> None:
        for version in itertools.islice(itertools.cycle((1, 2)), ROUNDS // 8):
            database.promote(version)
            floor[0] += 1
        ended.set()

    begun = services[0].get().json()["revision"]

    def read(service: Service) -> int:
        reads = 0
        with requests.Session() as session:
            while not ended.is_set():
                committed = floor[0]
                answer = session.get(service.url + STAGE, headers=service.headers, timeout=30)
                assert answer.json()["revision"] >= begun + committed - 1  # the first write may change nothing
                reads += 1
        return reads

    with ThreadPoolExecutor(5) as threads:
        readers = [threads.submit(read, service) for service in services for _ in range(2)]
        threads.submit(write).result()
        assert sum(reader.result() for reader in readers) > ROUNDS / 8


def test_a_revoked_token_ends_in_every_process(services: tuple[Service, Service], database: Database) -> None:
    for _ in range(20):
        token_id, headers = database.token("read:prod")
        for service in services:
            for _ in range(4):
                assert requests.get(service.url + STAGE, headers=headers, timeout=30).status_code == 200
        services[0].revoke(token_id)
        for service in services:
            for _ in range(4):
                assert requests.get(service.url + STAGE, headers=headers, timeout=30).status_code == 401


def test_reads_go_on_over_cut_connections(services: tuple[Service, Service], database: Database) -> None:
    for version in (1, 2, 1, 2, 1):
        for service in services:
            assert service.get().status_code == 200
        assert database.cut() >= 2
        database.promote(version)
        for service in services:
            for _ in range(4):
                assert service.get().json()["version"] == version
