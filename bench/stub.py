"""A wallet as fast as signing allows: `python -m bench.stub PORT KEYS_FILE DELAY_MS`.

Unlike the twin it keeps no books, so what is measured is the gateway: every trade can be opened, every question finds
the trade waiting, every refund succeeds at once.
"""

import asyncio
import base64
import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from starlette.types import Receive, Scope, Send

from bench.keys import PUBLIC_KEY_ID, WECHAT_APPID, WECHAT_MCHID

_JSON = [(b"content-type", b"application/json; charset=utf-8")]


class Stub:
    """The ASGI application. `delay_s` is how long the wallet thinks."""

    def __init__(self, key: rsa.RSAPrivateKey, delay_s: float) -> None:
        self._key = key
        self._delay_s = delay_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        if scope["path"].endswith("/gateway.do"):
            answer, headers = self._alipay(body)
        else:
            answer, headers = self._wechat(scope["path"], body)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _alipay(self, body: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        form = parse_qs(body.decode())
        biz = json.loads(form["biz_content"][0])
        trade_no, method = biz["out_trade_no"], form["method"][0].replace(".", "_")
        more = {
            "alipay_trade_precreate": {"qr_code": f"https://qr.alipay.com/bax{trade_no}"},
            "alipay_trade_query": {"trade_status": "WAIT_BUYER_PAY", "total_amount": "0.01"},
            "alipay_trade_refund": {"fund_change": "Y", "refund_fee": biz.get("refund_amount", "")},
        }[method]
        node = json.dumps({"code": "10000", "msg": "Success", "out_trade_no": trade_no, **more}, separators=(",", ":"))
        return f'{{"{method}_response":{node},"sign":"{self._sign(node.encode())}"}}'.encode(), _JSON

    def _wechat(self, path: str, body: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        answer = json.dumps(_wechat_node(path, json.loads(body or b"{}"))).encode()
        timestamp, nonce = str(int(time.time())), "0123456789abcdef"
        signature = self._sign(f"{timestamp}\n{nonce}\n".encode() + answer + b"\n")
        headers = {
            "wechatpay-timestamp": timestamp,
            "wechatpay-nonce": nonce,
            "wechatpay-signature": signature,
            "wechatpay-serial": PUBLIC_KEY_ID,
            "wechatpay-signature-type": "WECHATPAY2-SHA256-RSA2048",
            "request-id": path,
        }
        return answer, [*_JSON, *((name.encode(), value.encode()) for name, value in headers.items())]

    def _sign(self, text: bytes) -> str:
        return base64.b64encode(self._key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()


def _wechat_node(path: str, asked: dict[str, Any]) -> dict[str, Any]:
    if path.endswith("/native"):
        return {"code_url": f"weixin://wxpay/bizpayurl?pr={asked['out_trade_no'][-11:]}"}
    if path.endswith("/refunds"):
        number, amount = asked["out_refund_no"], {"refund": asked["amount"]["refund"], "currency": "CNY"}
        return {"out_refund_no": number, "refund_id": f"5{number}", "status": "SUCCESS", "amount": amount}
    trade = {"out_trade_no": path.rpartition("/")[2], "trade_state": "NOTPAY"}
    return {**trade, "appid": WECHAT_APPID, "mchid": WECHAT_MCHID}


def main() -> None:
    port, keys_file, delay_ms = int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    key = load_pem_private_key(json.loads(keys_file.read_text())["wallet_private"].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    app = Stub(key, delay_ms / 1000)
    uvicorn.run(app, port=port, access_log=False, log_level="warning", loop="uvloop", http="httptools", lifespan="off")


if __name__ == "__main__":
    main()
