"""A shop built on a third-party SDK, in a process and an environment of its own.

It reads one JSON request per line and answers one line each: first which SDK to open and how, then which of its
methods to call. Run by `tests/oracles/oracle.py`.
"""

import importlib
import json
import sys
from typing import Any


def main() -> None:
    shop: Any = None
    answer: dict[str, Any]
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "open" in request:
                shop = _OPENERS[request["open"]](request["url"], request["values"])
                answer = {"value": None}
            else:
                answer = {"value": _told(getattr(shop, request["call"])(**request["values"]))}
        except Exception as error:  # whatever the SDK raises is its verdict
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def _open_alipay(url: str, values: dict[str, Any]) -> Any:
    """Key mode, certificate mode or an ISV's app, as the values ask for."""
    alipay = importlib.import_module("alipay")
    kind = alipay.DCAliPay if "app_public_key_cert_string" in values else alipay.AliPay
    shop = (alipay.ISVAliPay if "app_auth_token" in values else kind)(**values)
    shop._gateway = url
    return shop


def _open_wechat(url: str, values: dict[str, Any]) -> Any:
    """Public-key mode, or certificate mode, which calls the wallet from its constructor."""
    wechatpayv3 = importlib.import_module("wechatpayv3")
    core = importlib.import_module("wechatpayv3.core").Core
    initialize = core._init_certificates

    def at_the_twin(self: Any) -> None:
        self._gate_way = url
        initialize(self)

    core._init_certificates = at_the_twin
    shop = wechatpayv3.WeChatPay(wechatpay_type=wechatpayv3.WeChatPayType[values.pop("type")], **values)
    shop._core._gate_way = url
    return shop


def _told(value: Any) -> Any:
    """Bytes as text that keeps each of them."""
    if isinstance(value, bytes):
        return {"latin-1": value.decode("latin-1")}
    if isinstance(value, tuple | list):
        return [_told(part) for part in value]
    return value


_OPENERS = {"alipay": _open_alipay, "wechat": _open_wechat}

if __name__ == "__main__":
    main()
