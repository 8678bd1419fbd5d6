"""The v3 routes: each checks a request's signature, runs its operation and signs the answer (channels B.2, B.3)."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opentill.base.clock import real_now_ms
from opentill.base.logs import logger
from opentill.twin import misbehaving, times
from opentill.twin.context import Context
from opentill.twin.faults import REPLACED, Hit
from opentill.twin.merchants import WECHAT, WechatAccount
from opentill.twin.misbehaving import Answer
from opentill.twin.web import BodyTooLarge, read_body, signed_target
from opentill.twin.wechat import bills, cashier, codepay, faulty, opening, operations, platform, refunds, wire
from opentill.twin.wechat.wire import Call, Failure

MAX_SKEW_MS = 5 * times.MINUTE_MS
_log = logger("twin.wechat")

# None: done, nothing to say. Bytes: a file, which is not signed. A failure that is returned, not raised, leaves what
# was written.
Operation = Callable[[Context, Call], dict[str, Any] | bytes | Failure | None]
# Below /v3/pay for merchants, below /v3/pay/partner for partners (channels B.4).
PAYMENTS: list[tuple[str, str, Operation]] = [
    ("POST", "/transactions/native", operations.native),
    ("GET", "/transactions/out-trade-no/{out_trade_no}", operations.query_by_order),
    ("GET", "/transactions/id/{transaction_id}", operations.query_by_transaction),
    ("POST", "/transactions/jsapi", opening.jsapi),
    ("POST", "/transactions/codepay", codepay.codepay),
    ("POST", "/transactions/out-trade-no/{out_trade_no}/close", operations.close),
    ("POST", "/transactions/out-trade-no/{out_trade_no}/reverse", codepay.reverse),
]
ROUTES: list[tuple[str, str, Operation]] = [
    ("POST", "/v3/refund/domestic/refunds", refunds.refund),
    ("GET", "/v3/refund/domestic/refunds/{out_refund_no}", refunds.refund_query),
    ("POST", "/v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund", refunds.apply_abnormal_refund),
    ("GET", "/v3/bill/tradebill", bills.trade_bill),
    ("GET", "/v3/bill/fundflowbill", bills.flow_bill),
    ("GET", "/v3/billdownload/file", bills.download),
    ("GET", "/v3/certificates", platform.certificates),
    ("POST", "/v3/security/echo", platform.echo),
]

# What a fault calls an operation; the others only break with the line.
FAULTY: dict[Operation, str] = {
    operations.native: "create",
    opening.jsapi: "create",
    codepay.codepay: "pay",
    operations.query_by_order: "query",
    operations.query_by_transaction: "query",
    operations.close: "close",
    codepay.reverse: "cancel",
    refunds.refund: "refund",
    refunds.refund_query: "refund_query",
    bills.trade_bill: "bill",
    bills.flow_bill: "bill",
    bills.download: "bill",
}


class Gateway:
    """API v3 of one wallet for all its merchants."""

    def __init__(self, twin: Context) -> None:
        self._twin = twin

    def routes(self) -> list[Route]:
        routes = [
            *((method, f"/v3/pay{path}", operation, False) for method, path, operation in PAYMENTS),
            *((method, path, operation, False) for method, path, operation in ROUTES),
            *((method, f"/v3/pay/partner{path}", operation, True) for method, path, operation in PAYMENTS),
        ]
        return [
            *(
                Route(path, self._endpoint(operation, is_partner=is_partner), methods=[method])
                for method, path, operation, is_partner in routes
            ),
            Route("/connect/oauth2/authorize", self._page(opening.authorize), methods=["GET"]),
            Route("/sns/oauth2/access_token", self._page(opening.access_token), methods=["GET"]),
        ]

    def _page(self, page: Callable[[Context, Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        """What WeChat's other hosts answer, unsigned."""

        async def answer(request: Request) -> Response:
            with self._twin.books.write():
                return page(self._twin, request)

        return answer

    def _endpoint(self, operation: Operation, *, is_partner: bool) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return await self._answer(request, operation, is_partner=is_partner)

        return answer

    async def _answer(self, request: Request, operation: Operation, *, is_partner: bool) -> Response:
        signer: tuple[WechatAccount, str] | None = None
        hit: Hit | None = None
        status, code, number = 200, "", 0
        try:
            signer = account, signed_by = self._signer(request)
            call = await self._checked(request, account, signed_by, is_partner=is_partner)
            hit = self._draw(operation)
            document = await self._run(call, operation, hit)
            if isinstance(document, bytes):
                file = Answer(status=200, headers={"Content-Type": "application/octet-stream"}, body=document)
                return await misbehaving.respond(file, hit, self._twin.clock)
            status = 204 if document is None else 200
            body = b"" if document is None else msgspec.json.encode(faulty.spoiled(document, hit))
        except Failure as failure:
            status, code, number = failure.status, failure.code, failure.number
            body = msgspec.json.encode(failure.document())
        _log.info("call", operation=operation.__name__, status=status, code=code)
        page = faulty.page_instead(hit) if hit else None
        answer = page or self._signed(signer, status, body, number, hit)
        return await misbehaving.respond(answer, hit, self._twin.clock)

    def _draw(self, operation: Operation) -> Hit | None:
        return self._twin.faults.draw_reply(WECHAT, FAULTY.get(operation, "other"))

    async def _run(self, call: Call, operation: Operation, hit: Hit | None) -> dict[str, Any] | bytes | None:
        """Carry the request out, unless the fault prevents it; the answer. Raises Failure."""
        since = 0 if self._twin.faults.is_empty else self._twin.callbacks.last_id()
        is_prevented = hit is not None and not hit.acts and hit.fault in REPLACED
        document: dict[str, Any] | bytes | Failure | None = None
        try:
            if not is_prevented:
                with self._twin.books.write():
                    document = operation(self._twin, call)
        finally:
            await self._aftermath(call, operation, hit, since)
        instead = faulty.failure_instead(hit, FAULTY.get(operation, "other")) if hit else None
        if instead is not None:
            raise instead
        if isinstance(document, Failure):
            raise document
        return document

    async def _aftermath(self, call: Call, operation: Operation, hit: Hit | None, since: int) -> None:
        """What happens before the answer leaves, on bad days."""
        fault = hit.fault if hit else ""
        is_create = FAULTY.get(operation) == "create"
        if fault == "paid_after_close" or (fault == "callback_first" and is_create):
            number = call.path.get("out_trade_no") or str(call.body.get("out_trade_no", ""))
            with self._twin.books.write():
                cashier.pay_regardless(self._twin, mchid=call.mchid, out_trade_no=number)
        if fault == "callback_first" and operation is refunds.refund:
            refunds.hurry(self._twin, call)
        await misbehaving.callbacks_first(self._twin, WECHAT, hit, since=since)

    def _signed(
        self, signer: tuple[WechatAccount, str] | None, status: int, body: bytes, number: int, hit: Hit | None
    ) -> Answer:
        headers = {"Request-ID": wire.new_request_id(number)}
        if body:
            headers["Content-Type"] = "application/json; charset=utf-8"
        if signer is not None:
            account, signed_by = signer
            headers |= faulty.signed_headers(account, signed_by, body, now_ms=self._twin.now_ms(), hit=hit)
        return Answer(status=status, headers=headers, body=body)

    def _signer(self, request: Request) -> tuple[WechatAccount, str]:
        """Who calls, and which key answers: the one the request names, else the certificate (channels B.3)."""
        authorization = wire.read_authorization(request.headers.get("authorization", ""))
        if authorization is None:
            raise Failure(401, "SIGN_ERROR", "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》")
        account = self._twin.merchants.wechat.get(authorization.mchid)
        if account is None:
            raise Failure(401, "SIGN_ERROR", "商户号不存在")
        named = request.headers.get("wechatpay-serial", account.usual_signer)
        if named not in account.signers:
            raise Failure(400, "PARAM_ERROR", "Wechatpay-Serial 错误：没有这个平台证书或公钥")
        return account, named

    async def _checked(self, request: Request, account: WechatAccount, signed_by: str, *, is_partner: bool) -> Call:
        """The request, once its headers and its signature hold. Raises Failure."""
        try:
            body = await read_body(request)
        except BodyTooLarge:
            raise Failure(400, "PARAM_ERROR", "请求体过大") from None
        self._check_signature(request, account, body)
        headers = request.headers
        if not headers.get("user-agent") or not _accepts_json(headers.get("accept", "")):
            raise Failure(400, "PARAM_ERROR", "Http头缺少Accept或User-Agent")
        if body and headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise Failure(400, "PARAM_ERROR", "Http头Content-Type须为application/json")
        return Call(
            account=account,
            is_partner=is_partner,
            signed_by=signed_by,
            body=_document(body),
            path=request.path_params,
            query=dict(request.query_params),
        )

    def _check_signature(self, request: Request, account: WechatAccount, body: bytes) -> None:
        authorization = wire.read_authorization(request.headers["authorization"])
        assert authorization is not None  # _signer has read it
        if authorization.serial_no != account.merchant.merchant_serial:
            raise Failure(401, "SIGN_ERROR", "商户证书序列号有误")
        at_ms = int(authorization.timestamp[:15]) * 1000
        # A stranger's clock is right when it agrees with the moved or the real time (design 7, Clock).
        if all(abs(at_ms - now_ms) > MAX_SKEW_MS for now_ms in (self._twin.now_ms(), real_now_ms())):
            raise Failure(401, "SIGN_ERROR", "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟")
        message = wire.request_message(request.method, signed_target(request), authorization, body)
        if not account.merchant_key.verifies(message, authorization.signature):
            raise Failure(401, "SIGN_ERROR", "签名错误")


def _accepts_json(accept: str) -> bool:
    kinds = {part.partition(";")[0].strip() for part in accept.split(",")}
    return bool(kinds & {"application/json", "application/*", "*/*"})


def _document(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except msgspec.DecodeError:
        raise Failure(400, "PARAM_ERROR", "请求体不是 JSON 对象") from None
