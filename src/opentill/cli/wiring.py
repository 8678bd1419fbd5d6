"""Opens everything a process needs and closes it again. Nothing here is global: all is passed down."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from opentill.base.clock import Clock
from opentill.base.config import Settings
from opentill.base.metrics import Metrics
from opentill.base.outbound import AddressGuard, Outbound
from opentill.base.sealing import Sealer, SealingError, read_master_key
from opentill.channels.registry import channel_classes, load_channels
from opentill.services.access import Parties
from opentill.services.administration import Administration
from opentill.services.deployment import Deployment
from opentill.services.places import PER_WALLET
from opentill.services.platform_key import platform_key
from opentill.services.replies import ReplyLog
from opentill.storage.database import check_schema, open_database
from opentill.worker.housekeeping import housekeeping_job
from opentill.worker.loop import Job, Worker
from opentill.worker.notify import notify_job
from opentill.worker.poll import poll_job
from opentill.worker.refund import refund_job
from opentill.worker.resume import resume_job


def sealer_of(settings: Settings) -> Sealer:
    """Raises SealingError when no master key is set (design 7, Keys)."""
    if settings.master_key is not None:
        return Sealer(read_master_key(settings.master_key.get_secret_value()))
    if settings.master_key_file is not None:
        try:
            return Sealer(read_master_key(settings.master_key_file.read_text("ascii")))
        except OSError as error:
            raise SealingError(f"the master key file cannot be read: {error.strerror}") from error
    raise SealingError("no master key: set OPENTILL_MASTER_KEY or OPENTILL_MASTER_KEY_FILE")


@asynccontextmanager
async def open_deployment(
    settings: Settings, *, clock: Clock, public_base_url: str, callback_base_url: str = "", is_sandbox: bool
) -> AsyncIterator[Deployment]:
    """A deployment over a database whose schema is the one this release needs.

    Raises: SealingError, SchemaTooOld, SchemaTooNew, DatabaseUnavailable.
    """
    async with AsyncExitStack() as stack:
        sealer = sealer_of(settings)
        database = await open_database(settings.database_url, connections=settings.database_connections)
        stack.push_async_callback(database.close)
        await check_schema(database)
        to_wallets = await stack.enter_async_context(_outbound_to_wallets())
        to_merchants = await stack.enter_async_context(Outbound(guard=AddressGuard(settings.notify_allow_networks)))
        channels = load_channels(settings, to_wallets, clock)
        metrics = Metrics()
        replies = ReplyLog(database, clock, metrics)
        stack.push_async_callback(replies.close)
        yield Deployment(
            settings=settings,
            database=database,
            sealer=sealer,
            clock=clock,
            parties=Parties(database, sealer, channels, clock),
            channels=channels,
            platform_key=await platform_key(database, sealer, now_ms=clock.now_ms()),
            outbound=to_merchants,
            metrics=metrics,
            replies=replies,
            public_base_url=public_base_url,
            callback_base_url=callback_base_url,
            is_sandbox=is_sandbox,
        )


def _outbound_to_wallets() -> Outbound:
    """A connection for every place, all at one host if need be: who was let in does not spend its time on a wait."""
    places = PER_WALLET * len(channel_classes())
    return Outbound(connections=places, connections_per_host=places)


@asynccontextmanager
async def open_administration(settings: Settings, *, clock: Clock, actor: str) -> AsyncIterator[Administration]:
    """What `opentill admin` works with. Raises like `open_deployment`."""
    async with AsyncExitStack() as stack:
        sealer = sealer_of(settings)
        database = await open_database(settings.database_url, connections=2)
        stack.push_async_callback(database.close)
        await check_schema(database)
        outbound = await stack.enter_async_context(Outbound())
        channels = load_channels(settings, outbound, clock)
        yield Administration(database, sealer, channels, clock, actor=actor)


def worker_of(deployment: Deployment) -> Worker:
    """All jobs that time drives."""
    jobs: list[Job[Any]] = [
        notify_job(deployment),
        poll_job(deployment),
        refund_job(deployment),
        resume_job(deployment),
        housekeeping_job(deployment),
    ]
    return Worker(jobs, deployment.database, deployment.clock)
