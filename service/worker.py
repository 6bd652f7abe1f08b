"""The job worker: procrastinate on the same Postgres runs received imports and delivers events."""

from __future__ import annotations

import asyncio
import logging
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import procrastinate
from procrastinate import JobContext, exceptions
from procrastinate import jobs as procrastinate_jobs
from procrastinate.worker import Worker

from service.api.problem_documents import problem_document
from service.domain.errors import RegistryError
from service.job_retries import UntilPartsAnswer, after_its_worker_ended, is_last, why_given_up
from service.settings import Settings
from service.stores.job_connector import JobConnector
from service.stores.queue import IMPORT_TASK, QUEUE, REGISTER_QUEUE, REGISTER_TASK, SCHEMA, WEBHOOK_QUEUE
from service.usecases.answer_once import forget_answers
from service.usecases.collect_leftovers import Collector
from service.usecases.decide_promotion import expire_promotions
from service.usecases.deliver_webhooks import Deliverer
from service.usecases.end_unfinished import end_unfinished
from service.usecases.request_version import freeze_version, give_up
from service.usecases.run_import import Importer
from service.usecases.upload_archive import ArchiveUploads
from service.usecases.watch_instances import forget_instances
from service.webhook_tasks import add_webhook_tasks
from service.wiring import Parts, make_collector, make_parts

log = logging.getLogger(__name__)

HEARTBEAT = 2.0
STALLED = 10.0
"""Seconds without a heartbeat after which a worker counts as dead and its jobs are taken up again."""

MAINTENANCE = "maintenance"
REGISTRATIONS = 2
"""Versions whose bytes are frozen at once."""
DELIVERIES = 8
"""Webhooks that are sent to at once, each one event at a time: as many slow receivers hold up nobody else."""
MAINTAINERS = 4
"""One for each task that time brings: collecting what is left takes its time, and jobs of the dead are waited for."""


def make_worker_app(
    settings: Settings, parts: Parts | None = None, deliverer: Deliverer | None = None, concurrency: int = 2
) -> procrastinate.App:
    """The tasks of a worker.

    Args:
        parts: stores to use instead of those the settings name.
        deliverer: what sends to webhooks, instead of one of those parts.
        concurrency: imports at once, for which there are to be connections.
    """
    parts = parts or make_parts(replace(settings, database_pool=pool_of(settings, concurrency)))
    connector = JobConnector(
        conninfo=settings.database_url.replace("postgresql+psycopg2://", "postgresql://", 1),
        kwargs={"options": f"-c search_path={SCHEMA},public", "application_name": "model-registry-worker"},
    )
    app = procrastinate.App(connector=connector)
    _add_import(
        app, Importer(parts.store, parts.objects, parts.tracking, parts.clock, problem_document, signer=parts.signer)
    )
    _add_registration(app, parts)
    _add_maintenance(app, parts, make_collector(parts, settings))
    deliverer = deliverer or Deliverer(parts.store, parts.webhooks, parts.clock)
    add_webhook_tasks(app, parts, settings, deliverer)
    return app


def pool_of(settings: Settings, concurrency: int) -> int:
    """At least a connection for each job at once, and two for an import: it keeps one from beginning to end."""
    return max(settings.database_pool, 2 * concurrency + REGISTRATIONS + DELIVERIES)


def _add_import(app: procrastinate.App, importer: Importer) -> None:
    @app.task(
        name=IMPORT_TASK,
        queue=QUEUE,
        pass_context=True,
        retry=UntilPartsAnswer(),
    )
    def run_import(context: JobContext, import_id: str) -> None:
        if why := why_given_up(context.job):
            importer.give_up(import_id, RegistryError(f"The import {why}."))
            return
        importer.run(import_id, last=is_last(context.job))


def _add_registration(app: procrastinate.App, parts: Parts) -> None:
    @app.task(
        name=REGISTER_TASK,
        queue=REGISTER_QUEUE,
        pass_context=True,
        retry=UntilPartsAnswer(),
    )
    def register(context: JobContext, model: str, version: str) -> None:
        if why := why_given_up(context.job):
            give_up(parts.store, model, int(version), f"The registration {why}.")
            return
        last = is_last(context.job)
        store, objects, clock, signer = parts.store, parts.objects, parts.clock, parts.signer
        freeze_version(store, objects, clock, model, int(version), last=last, signer=signer)


def _add_maintenance(app: procrastinate.App, parts: Parts, collector: Collector) -> None:
    @app.periodic(cron="* * * * * */5")
    @app.task(name="retry-stalled", queue=MAINTENANCE, queueing_lock="retry-stalled")
    async def retry_stalled(timestamp: int) -> None:
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED):
            try:
                if job.queue in (QUEUE, REGISTER_QUEUE):
                    await app.job_manager.retry_job(job, priority=after_its_worker_ended(job))
                else:  # it comes again by itself
                    await app.job_manager.finish_job(job, procrastinate_jobs.Status.FAILED, delete_job=True)
            except exceptions.ConnectorException:
                log.info("job %s was taken up by someone else", job.id)
        await asyncio.to_thread(requeue)

    def requeue() -> None:
        """A worker that was taken for dead and then ends its job removes it, though another one has it by now."""
        with parts.store.transaction() as tx:
            for import_id in tx.imports.requeue():
                log.warning("import %s had lost its job", import_id)
            for model, version in tx.registrations.requeue():
                log.warning("the registration of version %d of %r had lost its job", version, model)

    @app.periodic(cron="17 * * * *")
    @app.task(name="collect-leftovers", queue=MAINTENANCE, queueing_lock="collect-leftovers")
    def collect(timestamp: int) -> None:
        count = sum(garbage.objects for garbage in collector.run())
        log.info("deleted %d objects that nothing needs", count)

    @app.periodic(cron="*/5 * * * *")
    @app.task(name="end-uploads", queue=MAINTENANCE, queueing_lock="end-uploads")
    def end_uploads(timestamp: int) -> None:
        """Forget uploads that were abandoned, and their parts."""
        count = ArchiveUploads(parts.store, parts.objects, parts.part_store, parts.clock).end_expired()
        count += end_unfinished(parts.part_store, parts.clock)
        if count:
            log.info("ended %d abandoned uploads", count)

    @app.periodic(cron="*/5 * * * *")
    @app.task(name="tidy-up", queue=MAINTENANCE, queueing_lock="tidy-up")
    def tidy_up(timestamp: int) -> None:
        """Write down which promotions' time is over; forget answers that are not given again, instances that ended."""
        expire_promotions(parts.store, parts.clock)
        forget_answers(parts.store, parts.clock)
        forget_instances(parts.store, parts.clock)


def run_worker(app: procrastinate.App, concurrency: int) -> None:
    """Run jobs until SIGINT or SIGTERM; what is running then is finished first."""
    logging.getLogger("procrastinate").setLevel(logging.WARNING)  # it tells of every job, the periodic ones too
    asyncio.run(_run(app, concurrency))


def jobs_at_once(concurrency: int) -> dict[str, int]:
    """By queue; each has a worker of its own."""
    return {QUEUE: concurrency, REGISTER_QUEUE: REGISTRATIONS, WEBHOOK_QUEUE: DELIVERIES, MAINTENANCE: MAINTAINERS}


async def _run(app: procrastinate.App, concurrency: int) -> None:
    """Workers side by side: what takes minutes, or waits for slow receivers, holds up nobody else.

    When one of them ends unasked, so do the others.
    """
    loop = asyncio.get_running_loop()
    at_once = jobs_at_once(concurrency)
    loop.set_default_executor(ThreadPoolExecutor(sum(at_once.values()), thread_name_prefix="job"))
    async with app.open_async():
        workers = [make_worker(app, [queue], jobs) for queue, jobs in at_once.items()]

        def stop() -> None:
            for worker in workers:
                worker.stop()  # type: ignore[no-untyped-call]

        tasks = [asyncio.create_task(worker.run()) for worker in workers]  # type: ignore[no-untyped-call]
        await asyncio.sleep(0)  # by its first step each forgets that it was told to stop
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, stop)
        log.info("worker started")
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        stop()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


def make_worker(app: procrastinate.App, queues: list[str], concurrency: int, *, wait: bool = True) -> Worker:
    """Runs jobs of these queues of an open app until it is stopped, without `wait` until none is left.

    A cancelled task of procrastinate may go on as if nothing had happened; a worker that is told to `stop` does stop.
    """
    return Worker(
        app,
        queues=queues,
        concurrency=concurrency,
        wait=wait,
        install_signal_handlers=False,
        listen_notify=True,
        fetch_job_polling_interval=5,
        update_heartbeat_interval=HEARTBEAT,
        stalled_worker_timeout=STALLED,
        delete_jobs=procrastinate_jobs.DeleteJobCondition.SUCCESSFUL,
    )
