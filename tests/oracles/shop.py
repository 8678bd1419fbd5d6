"""Shops built on third-party SDKs, in a process and an environment of their own. Run by `tests/oracles/oracle.py`.

It reads one JSON request per line and answers one line each: which SDK to open and how (the answer is a number), which
of that shop's methods to call, and which shop to close. Beside the SDK's own methods a shop has a few that put one
question to several functions of the SDK.
"""

import asyncio
import http.client
import importlib
import inspect
import itertools
import json
import sys
import time
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlsplit


class PythonAlipaySdk:
    """python-alipay-sdk in key mode, certificate mode or as an ISV's app, as the values ask for (channels D.1)."""

    def __init__(self, url: str, values: dict[str, Any]) -> None:
        alipay = importlib.import_module("alipay")
        kind = alipay.DCAliPay if "app_public_key_cert_string" in values else alipay.AliPay
        self.sdk: Any = (alipay.ISVAliPay if "app_auth_token" in values else kind)(**values)
        self.sdk._gateway = url

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sdk, name)

    def signature_of(self, parameters: dict[str, str]) -> str:
        """What the SDK signs these parameters of a request with."""
        sent: str = self.sdk.sign_data(parameters)
        return dict(parse_qsl(sent))["sign"]

    def is_signed(self, text: str, signature: str) -> bool:
        return bool(self.sdk._verify(text, signature))

    def read(self, answer: str, method: str) -> Any:
        """An answer to `method`, verified."""
        return self.sdk._verify_and_return_sync_response(answer, method.replace(".", "_") + "_response")

    def is_callback(self, form: dict[str, str]) -> bool:
        return bool(self.sdk.verify(form, form.pop("sign")))

    def certificate_names(self, app: str, root: str) -> dict[str, str]:
        kind = importlib.import_module("alipay").DCAliPay
        return {"app_cert_sn": kind.get_cert_sn(app), "alipay_root_cert_sn": kind.get_root_cert_sn(root)}


class OfficialAlipaySdk:
    """alipay-sdk-python, which knows key mode only (channels D.2)."""

    def __init__(self, url: str, values: dict[str, Any]) -> None:
        api = "alipay.aop.api."
        # The SDK ignores the URL's port, and fails when there is one.
        web_utils: Any = importlib.import_module(api + "util.WebUtils")
        web_utils.get_http_connection = _connection_with_port
        self._signatures = importlib.import_module(api + "util.SignatureUtils")
        config = importlib.import_module(api + "AlipayClientConfig").AlipayClientConfig()
        for name, value in ({"server_url": url} | values).items():
            assert hasattr(config, name)
            setattr(config, name, value)
        self._config = config
        # What a call leaves behind here, reading an answer without a call needs as well.
        context = importlib.import_module(api + "constant.CommonConstants").THREAD_LOCAL
        context.logger, context.uuid = None, ""
        self._client = importlib.import_module(api + "DefaultAlipayClient").DefaultAlipayClient(config)

    def execute(self, method: str, biz: dict[str, Any], notify_url: str = "") -> Any:
        """The node of the answer to `method`, verified; every method has a class of its own."""
        name = "".join(word.capitalize() for word in method.replace(".", " ").split()) + "Request"
        request = getattr(importlib.import_module(f"alipay.aop.api.request.{name}"), name)()
        request.biz_content = biz
        request.notify_url = notify_url or None
        return json.loads(self._client.execute(request))

    def signature_of(self, parameters: dict[str, str]) -> str:
        content = self._signatures.get_sign_content(parameters)
        return str(self._signatures.sign_with_rsa2(self._config.app_private_key, content, "utf-8"))

    def is_signed(self, text: str, signature: str) -> bool:
        rsa = importlib.import_module("rsa")
        try:
            return bool(self._signatures.verify_with_rsa(self._config.alipay_public_key, text.encode(), signature))
        except rsa.VerificationError:
            return False

    def read(self, answer: str, method: str) -> Any:  # noqa: ARG002
        return json.loads(self._client._DefaultAlipayClient__parse_response(answer.encode()))

    def is_callback(self, form: dict[str, str]) -> bool:
        """The SDK has a function for the text and one for the signature; leaving out both names is up to the shop."""
        signature = form.pop("sign")
        del form["sign_type"]
        return self.is_signed(self._signatures.get_sign_content(form), signature)


class WechatPay:
    """wechatpayv3 in public-key mode, or in certificate mode, which fetches certificates at once (channels D.3)."""

    def __init__(self, url: str, values: dict[str, Any]) -> None:
        package = importlib.import_module("wechatpayv3")
        core = importlib.import_module("wechatpayv3.core").Core
        self._utils = importlib.import_module("wechatpayv3.utils")
        kind = package.WeChatPayType[values.pop("type")]
        initialize = core._init_certificates

        def at_the_twin(opening: Any) -> None:
            opening._gate_way = url
            initialize(opening)

        with mock.patch.object(core, "_init_certificates", at_the_twin):
            self.sdk = package.WeChatPay(wechatpay_type=kind, **values)
        self.sdk._core._gate_way = url

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sdk, name)

    def authorization(self, method: str, path: str, body: str, nonce: str, timestamp: int) -> str:
        """The header with which the SDK sends this request, at that second and with that nonce."""
        core = self.sdk._core
        with mock.patch.object(time, "time", return_value=timestamp):
            header: str = self._utils.build_authorization(
                path, method, core._mchid, core._cert_serial_no, core._private_key, data=body or None, nonce_str=nonce
            )
        return header

    def is_signed(self, lines: list[str], signature: str, public_key: str) -> bool:
        """The SDK's verifier wants three lines; the first may as well be several."""
        *head, nonce, body = lines
        key = self._utils.load_public_key(public_key)
        return bool(self._utils.rsa_verify("\n".join(head), nonce, body, signature, key))

    def is_answer(self, headers: dict[str, str], body: str) -> bool:
        return bool(self.sdk._core._verify_signature(headers, body))


class AsyncWechatPay:
    """The asynchronous half of wechatpayv3: other classes, another enumeration, open as long as its context."""

    def __init__(self, url: str, values: dict[str, Any]) -> None:
        package = importlib.import_module("wechatpayv3.async_")
        kind = package.WeChatPayType[values.pop("type")]
        self.sdk = package.AsyncWeChatPay(wechatpay_type=kind, **values)
        self.sdk._core._gate_way = url

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sdk, name)

    async def open(self) -> None:
        await self.sdk.__aenter__()

    async def close_context(self) -> None:
        await self.sdk.__aexit__(None, None, None)


SHOPS: dict[str, Any] = {
    "python-alipay-sdk": PythonAlipaySdk,
    "official alipay": OfficialAlipaySdk,
    "wechatpayv3": WechatPay,
    "async wechatpayv3": AsyncWechatPay,
}


class Shops:
    """The opened shops by number."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._numbers = itertools.count(1)
        self._shops: dict[int, Any] = {}

    def answer(self, request: dict[str, Any]) -> Any:
        if "open" in request:
            return self._open(SHOPS[request["open"]](request["url"], request["values"]))
        if "close" in request:
            return self._close(self._shops.pop(request["close"]))
        result = getattr(self._shops[request["shop"]], request["call"])(**request["values"])
        return _told(self._runner.run(result) if inspect.iscoroutine(result) else result)

    def _open(self, shop: Any) -> int:
        if isinstance(shop, AsyncWechatPay):
            self._runner.run(shop.open())
        number = next(self._numbers)
        self._shops[number] = shop
        return number

    def _close(self, shop: Any) -> None:
        if isinstance(shop, AsyncWechatPay):
            self._runner.run(shop.close_context())


def main() -> None:
    # What an SDK may print is not an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    with asyncio.Runner() as runner:
        shops = Shops(runner)
        for line in sys.stdin:
            try:
                answer = {"value": shops.answer(json.loads(line))}
            except Exception as error:  # whatever the SDK raises is its verdict
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), file=answers, flush=True)


def _connection_with_port(url: str, query_string: str, timeout: float) -> tuple[str, http.client.HTTPConnection]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    return f"{parts.path}?{query_string}", http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)


def _told(value: Any) -> Any:
    """Bytes as text that keeps each of them."""
    if isinstance(value, bytes):
        return {"latin-1": value.decode("latin-1")}
    if isinstance(value, tuple | list):
        return [_told(part) for part in value]
    return value


if __name__ == "__main__":
    main()
