"""The job worker's connection to Postgres."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import psycopg
from procrastinate import PsycopgConnector, exceptions

PATIENCE = 60.0
"""Seconds for which a write is tried again while the database is away."""


class JobConnector(PsycopgConnector):
    """Writes what became of a job also when the database was away at that moment.

    Else the job would count as running for as long as its worker, which is well, shows signs of life.
    """

    async def execute_query_async(self, query: Any, **arguments: Any) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                await super().execute_query_async(query, **arguments)
                return
            except exceptions.ConnectorException as error:
                if not isinstance(error.__cause__, psycopg.OperationalError) or time.monotonic() > until:
                    raise
            await asyncio.sleep(0.5)
