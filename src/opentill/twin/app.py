"""The twin as one thing to start, stop and mount."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount

from opentill.base.clock import MovableClock
from opentill.base.outbound import Outbound
from opentill.twin import phone
from opentill.twin.alipay import gateway as alipay_gateway
from opentill.twin.alipay import notify as alipay_notify
from opentill.twin.api import Api
from opentill.twin.books import Books
from opentill.twin.callbacks import Callbacks
from opentill.twin.context import Context
from opentill.twin.control import Control
from opentill.twin.downloads import Downloads
from opentill.twin.faults import Faults
from opentill.twin.merchants import ALIPAY, WECHAT, AlipayMerchant, Merchants, WechatMerchant
from opentill.twin.merchants_api import MerchantsApi, enroll_first
from opentill.twin.settling import Settling
from opentill.twin.travel import Neighbour, Travel, stored_shift_ms
from opentill.twin.wechat import gateway as wechat_gateway
from opentill.twin.wechat import notify as wechat_notify
from opentill.twin.wechat import refunds as wechat_refunds

REFUND_DELAY_MS = 2000


class Twin:
    """Both wallets, offline. Mount `app` anywhere, or serve it alone; `start` first.

    `base_url` is how others reach the mount point, without a trailing slash, e.g. `http://127.0.0.1:8080/twin`.
    `refund_delay_ms` is how long WeChat Pay processes a refund before it succeeds.
    """

    def __init__(
        self,
        *,
        data_file: Path,
        clock: MovableClock,
        base_url: str,
        refund_delay_ms: int = REFUND_DELAY_MS,
    ) -> None:
        books, faults = Books(data_file), Faults()
        self._outbound = Outbound()
        self._context = Context(
            books=books,
            callbacks=Callbacks(books=books, clock=clock, faults=faults, outbound=self._outbound),
            clock=clock,
            downloads=Downloads(),
            faults=faults,
            merchants=Merchants(books),
            settling=Settling(clock),
            base_url=base_url.rstrip("/"),
            refund_delay_ms=refund_delay_ms,
        )
        self._travel = Travel(self._context)
        parts = (Api(self._context), Control(self._context, self._travel), MerchantsApi(self._context))
        api = [route for part in parts for route in part.routes()]
        self.app = Starlette(
            routes=[
                Mount("/wechat", routes=wechat_gateway.Gateway(self._context).routes()),
                Mount("/alipay", routes=alipay_gateway.Gateway(self._context).routes()),
                Mount("/api", routes=api),
                *phone.routes(),
            ]
        )

    async def start(self) -> None:
        """Open the books (the first time: one merchant of each wallet) and send callbacks from now on.

        Raises BooksError.
        """
        self._context.books.open()
        merchants = self._context.merchants
        if not merchants.load():
            enroll_first(self._context)
        self._context.callbacks.start({ALIPAY: alipay_notify.style(merchants), WECHAT: wechat_notify.style(merchants)})
        self._context.settling.start(lambda: wechat_refunds.settle(self._context))

    async def stop(self) -> None:
        """Stop sending and close the books. What was due is sent after the next start."""
        await self._context.settling.stop()
        await self._context.callbacks.stop()
        await self._outbound.close()
        self._context.books.close()

    def keep_pace_with(self, neighbour: Neighbour) -> None:
        """Moving the clock stops wherever the neighbour has something due, and waits until it is done."""
        self._travel.neighbours.append(neighbour)

    async def quiet(self) -> None:
        """Return when no refund and no callback is due, none is on its way, and the others are quiet too."""
        await self._travel.quiet()

    @property
    def faults(self) -> Faults:
        """What goes wrong next; `POST /api/faults` adds to it as well."""
        return self._context.faults

    @staticmethod
    def stored_shift_ms(data_file: Path) -> int:
        """How far the clock had been moved when these books were last used: the new clock's `shift_ms`."""
        return stored_shift_ms(data_file)

    def alipay_merchant(self, app_id: str | None = None) -> AlipayMerchant:
        """What an integrator gets: the merchant of that app, or the first. Raises KeyError."""
        return self._context.merchants.alipay.named(app_id).merchant

    def wechat_merchant(self, mchid: str | None = None) -> WechatMerchant:
        """What an integrator gets: the merchant of that number, or the first. Raises KeyError."""
        return self._context.merchants.wechat.named(mchid).merchant
