"""`gateway.do`: checks a request, runs its method, signs the answer (channels A.1 to A.5, A.16)."""

from collections.abc import Callable
from typing import Any, NoReturn

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opentill.base.clock import real_now_ms
from opentill.base.logs import logger
from opentill.twin import keys, misbehaving, times
from opentill.twin.alipay import barcode, bills, cashier, ending, faulty, opening, operations, platform, refunds, wire
from opentill.twin.alipay.wire import Call, Failure
from opentill.twin.context import Context
from opentill.twin.faults import REPLACED, Hit
from opentill.twin.merchants import ALIPAY, AlipayAccount, Authorised
from opentill.twin.misbehaving import Answer
from opentill.twin.web import BodyTooLarge, read_body

MAX_SKEW_MS = 15 * times.MINUTE_MS
CREATES = ("alipay.trade.precreate", "alipay.trade.create")
_log = logger("twin.alipay")

METHODS: dict[str, Callable[[Context, Call], dict[str, Any]]] = {
    "alipay.trade.precreate": operations.precreate,
    "alipay.trade.query": operations.query,
    "alipay.trade.pay": barcode.pay,
    "alipay.trade.create": opening.create,
    "alipay.trade.close": ending.close,
    "alipay.trade.cancel": ending.cancel,
    "alipay.trade.refund": refunds.refund,
    "alipay.trade.fastpay.refund.query": refunds.refund_query,
    "alipay.data.dataservice.bill.downloadurl.query": bills.download_url,
    "alipay.system.oauth.token": opening.oauth_token,
    "alipay.open.app.alipaycert.download": platform.certificate_download,
}


class Gateway:
    """Alipay's one URL."""

    def __init__(self, twin: Context) -> None:
        self._twin = twin

    def routes(self) -> list[Route]:
        return [
            Route("/gateway.do", self.answer, methods=["GET", "POST"]),
            Route("/bill/download", self.bill, methods=["GET"]),
            Route("/oauth2/publicAppAuthorize.htm", self.authorize, methods=["GET"]),
        ]

    async def bill(self, request: Request) -> Response:
        """A plain GET without a signature; half a minute after the link was given it leads nowhere."""
        file = self._twin.downloads.fetch(request.query_params.get("token", ""), now_ms=self._twin.now_ms())
        if file is None:
            return Response("下载链接已失效", 403)
        named = {"Content-Disposition": f'attachment; filename="{file.name}"'}
        return Response(file.content, media_type="application/zip", headers=named)

    async def authorize(self, request: Request) -> Response:
        """The page of silent authorisation, on a host of its own in reality."""
        with self._twin.books.write():
            return opening.authorize(self._twin, request)

    async def answer(self, request: Request) -> Response:
        """HTTP 200 with JSON text, even for failures (channels A.1), unless a fault interferes."""
        try:
            params = wire.read_params(request.scope["query_string"], await read_body(request))
        except (ValueError, BodyTooLarge):
            params = {}
        account = self._twin.merchants.alipay.get(params.get("app_id", ""))
        hit: Hit | None = None
        failure: Failure | None = None
        node: dict[str, Any] = {}
        try:
            call = self._checked(params, account)
            hit = self._draw(params["method"])
            node = await self._run(call, params["method"], hit)
        except Failure as error:
            failure = error
            node = wire.failed(error)
        _log.info("call", method=params.get("method", ""), code=node["code"], sub_code=node.get("sub_code", ""))
        page = faulty.page_instead(hit) if hit else None
        is_signed = failure is None or failure.is_signed
        answer = page or self._enveloped(params, account if is_signed else None, node, hit)
        return await misbehaving.respond(answer, hit, self._twin.clock)

    def _draw(self, method: str) -> Hit | None:
        return self._twin.faults.draw_reply(ALIPAY, faulty.OPERATIONS.get(method, "other"))

    async def _run(self, call: Call, method: str, hit: Hit | None) -> dict[str, Any]:
        """Carry the request out, unless the fault prevents it; the node. Raises Failure."""
        since = 0 if self._twin.faults.is_empty else self._twin.callbacks.last_id()
        is_prevented = hit is not None and not hit.acts and hit.fault in REPLACED
        # channels A.2: a request whose time is wrong is not looked at.
        is_prevented = is_prevented or (hit is not None and hit.fault == "clock_skew")
        node: dict[str, Any] = {}
        try:
            if not is_prevented:
                with self._twin.books.write():
                    node = METHODS[method](self._twin, call)
        finally:
            await self._aftermath(call, hit, since)
        instead = faulty.failure_instead(hit) if hit else None
        if instead is not None:
            raise instead
        return node if "code" in node else wire.succeeded(node)

    async def _aftermath(self, call: Call, hit: Hit | None, since: int) -> None:
        """What happens before the answer leaves, on bad days."""
        fault = hit.fault if hit else ""
        if fault == "paid_after_close" or (fault == "callback_first" and call.params["method"] in CREATES):
            trade = operations.named_trade(self._twin, call)
            out_trade_no = trade.out_trade_no if trade else call.text("out_trade_no")
            with self._twin.books.write():
                cashier.pay_regardless(self._twin, owner=call.owner, out_trade_no=out_trade_no)
        await misbehaving.callbacks_first(self._twin, ALIPAY, hit, since=since)

    def _enveloped(
        self, params: dict[str, str], account: AlipayAccount | None, node: dict[str, Any], hit: Hit | None
    ) -> Answer:
        """The node in its envelope, signed when the account is given."""
        method, encoding = params.get("method", ""), wire.CHARSETS.get(params.get("charset", "utf-8").lower(), "utf-8")
        is_known = method in METHODS and params.get("app_id", "") in self._twin.merchants.alipay
        key: wire.Signer | None = None
        cert_sn = ""
        if account is not None and not (hit and hit.fault == "unsigned"):
            key, cert_sn = self._signer(account, hit)
        body = wire.envelope(
            wire.node_name(method) if is_known else "error_response",
            wire.node_text(faulty.spoiled(node, hit)),
            encoding=encoding,
            key=key,
            cert_sn=cert_sn if params.get("app_cert_sn") else "",
            escapes_slashes=account is not None and account.escapes_slashes,
        )
        return Answer(status=200, headers={"Content-Type": f"text/html;charset={encoding}"}, body=body)

    def _signer(self, account: AlipayAccount, hit: Hit | None) -> tuple[wire.Signer, str]:
        """The key that signs and the SN of its certificate."""
        if hit is not None and hit.fault == "key_rotated":
            account = self._twin.merchants.with_next_key(account, now_ms=self._twin.now_ms())
            return account.next_key, keys.certificate_sn(account.next_cert_pem)
        key = faulty.WrongKey(account.key) if hit is not None and hit.fault == "bad_signature" else account.key
        return key, account.alipay_cert_sn

    def _checked(self, params: dict[str, str], account: AlipayAccount | None) -> Call:
        """The request, once everything that belongs to the gateway holds. Raises Failure."""
        for name in ("method", "app_id", "sign", "sign_type", "timestamp", "version"):
            if not params.get(name):
                _refuse("40001", _MISSING.get(name, f"isv.missing-{name.replace('_', '-')}"), f"缺少{name}参数")
        if params["method"] not in METHODS:
            _refuse("40002", "isv.invalid-method", "不存在的方法名")
        if account is None:
            _refuse("40002", "isv.invalid-app-id", "无效的AppID参数")
        if params["sign_type"] != "RSA2":
            _refuse("40002", "isv.invalid-signature-type", "无效的签名类型")
        if params.get("charset", "utf-8").lower() not in wire.CHARSETS:
            _refuse("40002", "isv.invalid-charset", "字符集错误")
        if params.get("format", "JSON").upper() != "JSON":
            _refuse("40002", "isv.invalid-format", "无效的数据格式")
        if not wire.is_signed_by(account, params):
            _refuse("40002", "isv.invalid-signature", "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配")
        self._check_timestamp(params["timestamp"])
        _check_certificates(account, params)
        return Call(account=account, seller=_seller(account, params), params=params, biz=_biz_content(params))

    def _check_timestamp(self, text: str) -> None:
        """A stranger's clock is right when it agrees with the moved or the real time (design 7, Clock)."""
        at_ms = times.wall_ms(text)
        clocks = (self._twin.now_ms(), real_now_ms())
        if at_ms is None or all(abs(at_ms - now_ms) > MAX_SKEW_MS for now_ms in clocks):
            _refuse("40002", "isv.invalid-timestamp", "非法的时间戳参数")


_MISSING = {"sign": "isv.missing-signature", "sign_type": "isv.missing-signature-type"}


def _refuse(code: str, sub_code: str, sub_msg: str) -> NoReturn:
    """The gateway's own failures are not signed (channels A.4)."""
    raise Failure(code, sub_code, sub_msg, is_signed=False)


def _seller(account: AlipayAccount, params: dict[str, str]) -> Authorised:
    """An ISV's app acts for the merchant whose token it sends (channels A.2)."""
    token = params.get("app_auth_token", "")
    if token and token not in account.authorised:
        raise Failure("20001", "aop.invalid-app-auth-token", "无效的应用授权令牌")
    return account.authorised[token] if token else account.seller(account.merchant.app_id)


def _check_certificates(account: AlipayAccount, params: dict[str, str]) -> None:
    """channels A.5: certificate mode names the app's and the root certificate."""
    app_cert_sn, root_cert_sn = params.get("app_cert_sn", ""), params.get("alipay_root_cert_sn", "")
    if not app_cert_sn and not root_cert_sn:
        return
    if app_cert_sn != account.app_cert_sn:
        _refuse("40002", "isv.app-cert-sn-not-match", "应用公钥证书SN不匹配")
    if root_cert_sn != account.root_cert_sn:
        _refuse("40002", "isv.alipay-root-cert-sn-not-match", "支付宝根证书SN不匹配")


def _biz_content(params: dict[str, str]) -> dict[str, Any]:
    try:
        return msgspec.json.decode(params.get("biz_content") or "{}", type=dict[str, Any])
    except msgspec.DecodeError:
        raise Failure("40002", "isv.invalid-parameter", "biz_content 不是 JSON 对象", is_signed=False) from None
