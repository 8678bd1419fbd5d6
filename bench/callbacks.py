"""Callbacks as the wallets send them, signed with the wallet's key of the run."""

import base64
import json
import time
from pathlib import Path
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bench.keys import ALIPAY_APP_ID, API_V3_KEY, PUBLIC_KEY_ID, WECHAT_APPID, WECHAT_MCHID
from bench.load import post


class Callbacks:
    """Makes the message that a trade of one fen was paid, as a request that is ready to be sent."""

    def __init__(self, keys: Path) -> None:
        key = load_pem_private_key(json.loads(keys.read_text())["wallet_private"].encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key = key

    def paid(self, channel: int, order_no: str, account_id: int) -> bytes:
        return self._alipay(order_no, account_id) if channel == 1 else self._wechat(order_no, account_id)

    def _alipay(self, order_no: str, account_id: int) -> bytes:
        form = {
            "app_id": ALIPAY_APP_ID, "notify_id": f"n{order_no}", "out_trade_no": order_no,
            "trade_no": f"20{order_no}", "trade_status": "TRADE_SUCCESS", "total_amount": "0.01",
            "receipt_amount": "0.01", "buyer_pay_amount": "0.01", "charset": "utf-8", "version": "1.0",
            "gmt_payment": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + 8 * 3600)),
        }  # fmt: skip
        form["sign"] = self._sign("&".join(f"{name}={form[name]}" for name in sorted(form)))
        body = urlencode({**form, "sign_type": "RSA2"}).encode()
        return post(f"/callbacks/alipay/{account_id}", "application/x-www-form-urlencoded", body)

    def _wechat(self, order_no: str, account_id: int) -> bytes:
        trade = {
            "out_trade_no": order_no, "transaction_id": f"42{order_no}", "trade_state": "SUCCESS",
            "appid": WECHAT_APPID, "mchid": WECHAT_MCHID, "amount": {"total": 1, "payer_total": 1, "currency": "CNY"},
            "success_time": time.strftime("%Y-%m-%dT%H:%M:%S+08:00", time.gmtime(time.time() + 8 * 3600)),
        }  # fmt: skip
        nonce, associated = "0123456789ab", "transaction"
        sealed = AESGCM(API_V3_KEY.encode()).encrypt(nonce.encode(), json.dumps(trade).encode(), associated.encode())
        resource = {
            "algorithm": "AEAD_AES_256_GCM", "nonce": nonce, "associated_data": associated,
            "ciphertext": base64.b64encode(sealed).decode(), "original_type": "transaction",
        }  # fmt: skip
        notice = {"id": f"n{order_no}", "event_type": "TRANSACTION.SUCCESS", "resource": resource}
        body, timestamp = json.dumps(notice).encode(), str(int(time.time()))
        headers = {
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": PUBLIC_KEY_ID,
            "Wechatpay-Signature": self._sign(f"{timestamp}\n{nonce}\n{body.decode()}\n"),
        }
        return post(f"/callbacks/wechat/{account_id}", "application/json", body, headers=headers)

    def _sign(self, text: str) -> str:
        return base64.b64encode(self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()


def code_of(body: bytes) -> str:
    """For `load.run`: Alipay hears `success`, WeChat Pay an empty body."""
    return "0" if body in (b"success", b"") else body.decode()[:80]
