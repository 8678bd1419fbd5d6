"""The start page and the demo pages, `/test/api/*.htm`: each is drawn from the table of its interface."""

import secrets
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import segno
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from opentill.base.errors import CATALOGUE
from opentill.commands.registry import Command
from opentill.protocol.params import COMMON, INTEGER, LONG, Param
from opentill.protocol.signing import matches_rsa2, md5_sign, public_key_text, string_to_sign
from opentill.services.access import TEST_APP, TEST_KEY, TEST_OPERATOR
from opentill.services.deployment import Deployment
from opentill.web import sign
from opentill.web.app import fingerprint
from opentill.web.bodies import BodyTooLarge, read_body
from opentill.web.demo_live import RECEIVER_PATH, LiveOrders
from opentill.web.gateway import PATH as GATEWAY_PATH
from opentill.web.pages import CHINESE, Pages, favicon_route, language_of, static_mount

MAX_VERIFY_BYTES = 65_536
PHONE_PATH = "/twin/phone"
SCAN = "open.pay.scan"

_COMMON_NAMES = frozenset(param.name for param in COMMON)
_GOODS = (
    '[{"goods_id":"c-01","goods_num":"6901234567892","goods_name":"一杯咖啡","sell_amount":"1","goods_price":"0.01"}]'
)


class Verification(msgspec.Struct, frozen=True):
    """What `/test/api/verify` is asked: were these fields signed by the platform?"""

    fields: dict[str, str]
    sign: str


def routes(deployment: Deployment, commands: Mapping[str, Command]) -> list[BaseRoute]:
    """The pages and what they need. Nothing when the deployment has no demo pages."""
    if not deployment.has_demo_pages:
        return []
    pages = DemoPages(deployment, commands)
    found: list[BaseRoute] = [
        Route("/", pages.index, methods=["GET"]),
        Route("/test/api/verify", pages.verify, methods=["POST"]),
        static_mount(),
        favicon_route(),
    ]
    found += [Route(page_url(command), pages.page(command), methods=["GET"]) for command in pages.commands]
    found += sign.routes(deployment, commands, pages.links)
    # Whoever knows an order's number could watch it: fine among pretend orders, not among real ones.
    if deployment.is_sandbox:
        found += LiveOrders(deployment).routes()
    return found


def page_url(command: Command) -> str:
    return f"/test/api/{command.demo_page}.htm"


class DemoPages:
    """Draws the pages of one deployment."""

    def __init__(self, deployment: Deployment, commands: Mapping[str, Command]) -> None:
        self._deployment = deployment
        shown = [command for command in commands.values() if command.demo_page]
        # As an order lives: opened first (by scan, above all), then asked about.
        self.commands = sorted(shown, key=lambda command: (not _makes_order(command), command.name != SCAN))
        self._pages = Pages()
        self._key = deployment.platform_key.public_key()
        self._gateway_url = deployment.public_base_url + GATEWAY_PATH
        self._common = {
            "is_sandbox": deployment.is_sandbox,
            "gateway_url": self._gateway_url,
            "fingerprint": fingerprint(public_key_text(self._key)),
        }

    async def index(self, request: Request) -> Response:
        scan = next((command for command in self.commands if command.name == SCAN), None)
        return self._pages.render(
            request,
            "index.html",
            **self._common,
            pages=self.links(request),
            qr=segno.make(self._deployment.public_base_url, error="m").svg_inline(border=1, omitsize=True),
            curl=self._curl(scan) if scan and self._deployment.is_sandbox else "",
            app=TEST_APP,
            key=TEST_KEY,
            operator_id=TEST_OPERATOR,
        )

    def page(self, command: Command) -> Any:
        async def endpoint(request: Request) -> Response:
            is_chinese = language_of(request) == CHINESE
            own = [self._field(param, command, is_chinese) for param in command.params]
            required = [field for field in own if field["is_required"]]
            common = [self._field(param, command, is_chinese) for param in COMMON]
            response = self._pages.render(
                request,
                "demo.html",
                **self._common,
                command=command.name,
                title=command.title_zh if is_chinese else command.title_en,
                lead=command.text_zh if is_chinese else command.text_en,
                pages=self.links(request),
                own=required or own,
                optional=[field for field in own if not field["is_required"]] if required else [],
                common=common,
                key=TEST_KEY if self._deployment.is_sandbox else "",
                config=self._config(request, command),
            )
            # The pretend phone opens beside the order.
            response.headers["Content-Security-Policy"] += "; frame-src 'self'"
            return response

        return endpoint

    async def verify(self, request: Request) -> Response:
        """Is this our signature? Also shows the string it has to be over."""
        try:
            body = await read_body(request, limit=MAX_VERIFY_BYTES)
            asked = msgspec.json.decode(body, type=Verification)
        except BodyTooLarge:
            return JSONResponse({"error": f"at most {MAX_VERIFY_BYTES} bytes"}, status_code=413)
        except (msgspec.DecodeError, ClientDisconnect) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        is_valid = matches_rsa2(asked.fields, self._key, asked.sign)
        return JSONResponse({"valid": is_valid, "string": string_to_sign(asked.fields)})

    def links(self, request: Request) -> list[dict[str, str]]:
        is_chinese = language_of(request) == CHINESE
        return [
            {
                "command": command.name,
                "url": page_url(command),
                "title": command.title_zh if is_chinese else command.title_en,
                "text": command.text_zh if is_chinese else command.text_en,
            }
            for command in self.commands
        ]

    def _field(self, param: Param, command: Command, is_chinese: bool) -> dict[str, Any]:
        return {
            "name": param.name,
            "type": param.type,
            "is_required": param.is_required,
            "is_signed": param.is_signed,
            "text": param.text_zh if is_chinese else param.text_en,
            "value": self._prefilled(param, command),
            "is_number": param.type in (LONG, INTEGER),
            "is_long": param.name == "goods_list",
            "choices": _choices(param, is_chinese),
        }

    def _prefilled(self, param: Param, command: Command) -> str:
        """What the field starts with; numbers and times of the moment come from the page's script."""
        is_sandbox = self._deployment.is_sandbox
        values = {
            "command": command.name,
            "app": TEST_APP if is_sandbox else "",
            "operator_id": TEST_OPERATOR if is_sandbox else "",
            "notify_url": self._receiver_url(),
            "redirect_url": f"{self._deployment.public_base_url}/" if is_sandbox else "",
            "goods_list": _GOODS,
            "local_order_no": "",
            "order_no": "",
            "barcode": "",
        }
        return values.get(param.name, param.example)

    def _receiver_url(self) -> str:
        return self._deployment.callback_base_url + RECEIVER_PATH if self._deployment.is_sandbox else ""

    def _config(self, request: Request, command: Command) -> dict[str, Any]:
        """What the page's script must know."""
        texts = self._pages.texts[language_of(request)]
        advice = texts.get("advice", {})  # the catalogue itself advises in English
        return {
            "command": command.name,
            "gateway_path": GATEWAY_PATH,
            "signed": sorted(command.signed),
            "reply_signed": [field.name for field in command.all_reply_fields if field.is_signed],
            "makes_order": _makes_order(command),
            "now_ms": self._deployment.clock.now_ms(),
            "is_sandbox": self._deployment.is_sandbox,
            "receiver_url": self._receiver_url(),
            "phone_url": PHONE_PATH if self._deployment.is_sandbox else "",
            "advice": {entry.number: advice.get(name, entry.advice) for name, entry in CATALOGUE.items()},
            "pages": {link["command"]: link for link in self.links(request)},
            "texts": {name: texts[name] for name in ("demo", "event", "source", "debugger", "attempt_problem")},
        }

    def _curl(self, scan: Command) -> str:
        """A signed order that runs in a shell as it is."""
        now_ms = self._deployment.clock.now_ms()
        day = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%d%H%M%S")
        form = {
            "command": scan.name,
            "app": TEST_APP,
            "operator_id": TEST_OPERATOR,
            "timestamp": str(now_ms),
            "local_order_no": f"curl{day}{secrets.randbelow(10_000):04}",
            "channel": "1",
            "amount": "1",
        }
        form["sign"] = md5_sign({name: form[name] for name in form if name in scan.signed}, TEST_KEY)
        # Programs do not trust the sandbox's own certificate: they come where callbacks come.
        lines = [f"curl {shlex.quote(self._deployment.callback_base_url + GATEWAY_PATH)}"]
        lines += [f"  -d {shlex.quote(f'{name}={value}')}" for name, value in form.items()]
        return " \\\n".join(lines)


def _makes_order(command: Command) -> bool:
    """Interfaces that ask about an order take order_no; the others make a new one."""
    return all(param.name != "order_no" for param in command.params)


def _choices(param: Param, is_chinese: bool) -> list[tuple[str, str]]:
    if param.name == "channel":
        return [("1", "1 支付宝"), ("2", "2 微信支付")] if is_chinese else [("1", "1 Alipay"), ("2", "2 WeChat Pay")]
    if param.name == "version":
        return [("1.0", "1.0"), ("1.1", "1.1")]
    return []
