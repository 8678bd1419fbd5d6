"""`/pay/{order_no}`: the page behind a link of open.pay.h5, in both wallets' browsers and any other (channels B.13)."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import msgspec
import segno
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from opentill.base.errors import GatewayError
from opentill.base.logs import logger
from opentill.base.money import yuan_text
from opentill.domain.order import Order
from opentill.services import links
from opentill.services.access import OpenAccount
from opentill.services.deployment import Deployment
from opentill.services.links import LinkStatus, States
from opentill.storage.database import DatabaseOverloaded, DatabaseUnavailable
from opentill.storage.trades import OpenTrade
from opentill.web.pages import LANGUAGES, Pages, language_of, read_texts, static_mount

TWIN_BRIDGE = "/twin/bridge.js"
"""The sandbox's wallets have no browser of their own: this script gives any page their bridges."""

# Wallets' bridges of older versions speak by frames of their own schemes, which hold no page.
_BRIDGE_FRAMES = "; frame-src weixin: wvjbscheme: alipay: alipays:"
_PAY, _SCAN, _PROBLEM = "pay", "scan", "problem"
_PROBLEMS = {"CHANNEL_REFUSED": "refused", "CHANNEL_TIMEOUT": "unanswered"}

_log = logger("links")


def routes(deployment: Deployment) -> list[BaseRoute]:
    pages = LinkPages(deployment)
    return [
        Route(links.PATH + "{order_no}", _never_falling(pages, pages.page), methods=["GET"]),
        Route(links.PATH + "{order_no}/status", pages.status, methods=["GET"]),
        static_mount(),
    ]


class LinkPages:
    """Draws the page of every link of one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._pages = Pages()
        self._texts = {language: read_texts(f"link.{language}")["link"] for language in LANGUAGES}
        self._states = States(deployment.platform_key)

    async def page(self, request: Request) -> Response:
        """Whatever the order's state allows: pay in this wallet, a QR code for another one, or how it ended."""
        order = await links.find_order(self._deployment, request.path_params["order_no"])
        if order is None:
            return self.problem(request, "missing", status=404)
        status = links.status_of(order, now_ms=self._deployment.clock.now_ms())
        if status is not LinkStatus.WAITING:
            return self._draw(request, order, status.value)
        operator = await self._deployment.parties.operator(order.operator_id)
        wallets = await links.wallets_of(self._deployment, operator)
        if not wallets:
            return self.problem(request, "unavailable", order=order)
        number = self._wallet_of(request)
        if number not in wallets:
            return self._draw(request, order, _SCAN, wallets=wallets, is_other_wallet=number is not None)
        return await self._in_wallet(request, order, wallets[number])

    async def status(self, request: Request) -> Response:
        """What the page's script asks; `ask=1`: the wallet is asked first, for its payer says to have just paid."""
        headers = {"Cache-Control": "no-store"}
        try:
            order = await links.find_order(self._deployment, request.path_params["order_no"])
            if order is None:
                return JSONResponse({}, 404, headers)
            order = await links.look(self._deployment, order, asks_wallet=request.query_params.get("ask") == "1")
        except (DatabaseUnavailable, DatabaseOverloaded):
            return JSONResponse({}, 503, headers)
        status = links.status_of(order, now_ms=self._deployment.clock.now_ms())
        told = {"status": status.value, "is_final": not order.is_open, "redirect_url": _redirect_url(order, status)}
        return JSONResponse(told, headers=headers)

    def problem(self, request: Request, name: str, *, order: Order | None = None, status: int = 200) -> Response:
        """What went wrong, and a way to open the link anew."""
        return self._draw(request, order, _PROBLEM, problem=name, http_status=status)

    async def _in_wallet(self, request: Request, order: Order, account: OpenAccount) -> Response:
        """In the wallet's own browser: learn who it is, then offer the trade that is theirs."""
        number = account.account.channel
        channel, now_ms = self._deployment.channels[number], self._deployment.clock.now_ms()
        code, state = request.query_params.get(channel.grant_parameter, ""), request.query_params.get("state", "")
        if not code and not state:
            new_state = self._states.issue(order.order_no, number, now_ms=now_ms)
            back = self._deployment.public_base_url + self._path(request, order)
            url = channel.authorize_url(account.opened, back, new_state)
            assert url is not None, "the account is one of those that can recognise payers"
            return RedirectResponse(url, 302, {"Cache-Control": "no-store"})
        if not self._states.accepts(state, order.order_no, number, now_ms=now_ms):
            return self.problem(request, "stale", order=order, status=400)
        if not self._deployment.wallet_places.has_room(number):
            return self.problem(request, "busy", order=order, status=503)
        with self._deployment.wallet_places.taken(number):
            identity = await channel.payer_of(account.opened, code)
        if not identity.payer:
            _log.warning("payer not told", order_no=order.order_no, channel=channel.name, code=identity.code)
            return self.problem(request, "unrecognised", order=order, status=503)
        try:
            trade = await links.open_trade(self._deployment, order, account, identity.payer)
        except GatewayError as error:
            _log.warning("not opened", order_no=order.order_no, channel=channel.name, why=str(error))
            return self.problem(request, _PROBLEMS.get(error.name, "busy"), order=order, status=503)
        if trade is None:
            order = await links.find_order(self._deployment, order.order_no) or order
            return self._draw(request, order, links.status_of(order, now_ms=now_ms).value)
        return self._draw(request, order, _PAY, trade=trade)

    def _wallet_of(self, request: Request) -> int | None:
        """Whose browser this is."""
        played, agent = self._played(request), request.headers.get("user-agent", "")
        for number, channel in self._deployment.channels.items():
            if channel.name == played or (not played and channel.browser_mark in agent):
                return number
        return None

    def _played(self, request: Request) -> str:
        """In the sandbox any browser may play a wallet's: `?as=wechat`."""
        asked = request.query_params.get("as", "")
        names = {channel.name for channel in self._deployment.channels.values()}
        return asked if self._deployment.is_sandbox and asked in names else ""

    def _path(self, request: Request, order: Order, *, language: str = "") -> str:
        """The link without what an authorisation added to it."""
        language = language or request.query_params.get("lang", "")
        query = {"as": self._played(request), "lang": language if language in LANGUAGES else ""}
        text = urlencode({name: value for name, value in query.items() if value})
        return links.PATH + order.order_no + (f"?{text}" if text else "")

    def _draw(
        self,
        request: Request,
        order: Order | None,
        view: str,
        *,
        trade: OpenTrade | None = None,
        wallets: dict[int, OpenAccount] | None = None,
        problem: str = "",
        is_other_wallet: bool = False,
        http_status: int = 200,
    ) -> Response:
        language, channels = language_of(request), self._deployment.channels
        texts = self._texts[language]
        path = self._path(request, order) if order else ""
        config: dict[str, Any] = {"view": view, "path": path, "texts": texts}
        if order is not None:
            config["status_url"] = f"{links.PATH}{order.order_no}/status"
        if trade is not None:
            config |= {"wallet": channels[trade.channel].name, "values": msgspec.json.decode(trade.page_values)}
        status = LinkStatus(view) if view in set(LinkStatus) else None
        response = self._pages.render(
            request,
            "link.html",
            link=texts,
            view=view,
            problem=problem,
            statuses=[each.value for each in LinkStatus if each is not LinkStatus.WAITING],
            link_path=path,
            language_path=self._path(request, order, language=_other_language(language)) if order else "",
            subject=(order.subject or self._deployment.settings.default_subject) if order else "",
            amount=yuan_text(order.amount_fen) if order else "",
            redirect_url=_redirect_url(order, status) if order and status else "",
            wallet=channels[trade.channel].name if trade else "",
            wallets=[channels[number].name for number in wallets or {}],
            is_other_wallet=is_other_wallet,
            qr=_qr(links.url_of(self._deployment, order.order_no)) if order and view == _SCAN else "",
            bridge=TWIN_BRIDGE if trade and self._deployment.is_sandbox else "",
            is_sandbox=self._deployment.is_sandbox,
            config=config,
        )
        response.status_code = http_status
        response.headers["Content-Security-Policy"] += _BRIDGE_FRAMES
        return response


def _other_language(language: str) -> str:
    return next(each for each in LANGUAGES if each != language)


def _redirect_url(order: Order, status: LinkStatus | None) -> str:
    """protocol 4.3: where the page goes after payment, and only then."""
    return order.redirect_url if status is LinkStatus.PAID else ""


def _qr(text: str) -> str:
    return str(segno.make(text, error="m").svg_inline(border=2, omitsize=True))


def _never_falling(
    pages: LinkPages, page: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """Customers see a page, whatever happens behind it."""

    async def endpoint(request: Request) -> Response:
        try:
            return await page(request)
        except (DatabaseUnavailable, DatabaseOverloaded):
            return pages.problem(request, "busy", status=503)

    return endpoint
