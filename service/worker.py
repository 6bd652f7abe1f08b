"""The job worker: procrastinate on the same Postgres runs received imports."""

from __future__ import annotations

import logging

import procrastinate
from procrastinate import JobContext, PsycopgConnector, RetryStrategy
from procrastinate import jobs as procrastinate_jobs

from service.api.problem_documents import problem_document
from service.domain.errors import RegistryError, Unavailable
from service.settings import Settings
from service.stores.queue import IMPORT_TASK, QUEUE, SCHEMA
from service.usecases.run_import import Importer
from service.wiring import make_parts

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 20
HEARTBEAT = 2.0
STALLED = 10.0
"""Seconds without a heartbeat after which a worker counts as dead and its jobs are taken up again."""


def make_worker_app(settings: Settings) -> procrastinate.App:
    parts = make_parts(settings)
    importer = Importer(parts.store, parts.objects, parts.tracking, parts.clock, problem_document)
    connector = PsycopgConnector(
        conninfo=settings.database_url.replace("postgresql+psycopg2://", "postgresql://", 1),
        kwargs={"options": f"-c search_path={SCHEMA},public", "application_name": "model-registry-worker"},
    )
    app = procrastinate.App(connector=connector)

    @app.task(
        name=IMPORT_TASK,
        queue=QUEUE,
        pass_context=True,
        retry=RetryStrategy(max_attempts=MAX_ATTEMPTS, exponential_wait=2, retry_exceptions={Unavailable}),
    )
    def run_import(context: JobContext, import_id: str) -> None:
        try:
            importer.run(import_id)
        except Unavailable as error:
            if context.job.attempts + 1 >= MAX_ATTEMPTS:
                importer.fail(import_id, error)
            raise
        except Exception:
            # A defect of ours: say so in the import, keep the archive, and let the job's own log hold the traceback.
            importer.fail(import_id, RegistryError("The import failed inside the service; its log names the import."))
            raise

    @app.periodic(cron="* * * * * */5")
    @app.task(name="retry-stalled", queue="maintenance", queueing_lock="retry-stalled")
    async def retry_stalled(timestamp: int) -> None:
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED):
            await app.job_manager.retry_job(job)

    return app


def run_worker(settings: Settings, concurrency: int) -> None:
    """Run jobs until SIGINT or SIGTERM; what is running then is finished first."""
    logging.getLogger("procrastinate").setLevel(logging.WARNING)  # it tells of every job, the periodic ones too
    app = make_worker_app(settings)
    log.info("worker started")
    app.run_worker(
        concurrency=concurrency,
        listen_notify=True,
        fetch_job_polling_interval=5,
        update_heartbeat_interval=HEARTBEAT,
        stalled_worker_timeout=STALLED,
        delete_jobs=procrastinate_jobs.DeleteJobCondition.SUCCESSFUL,
    )
