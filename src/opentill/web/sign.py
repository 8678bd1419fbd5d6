"""`/test/api/sign.htm`: the signature debugger for integrators who have no account in the console.

Only the published test app's key is known here. Any other key is tried by the reader's browser and never sent; what
was pasted is neither logged nor kept.
"""

from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, urlencode

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from opentill.commands.registry import Command
from opentill.domain.parties import App, AppRules
from opentill.protocol.recipes import Recipe, signature
from opentill.services.access import TEST_APP, TEST_KEY, TEST_OPERATOR
from opentill.services.deployment import Deployment
from opentill.web import debugger
from opentill.web.bodies import BodyTooLarge, read_body
from opentill.web.debugger import Asked, marks_of
from opentill.web.pages import Pages, language_of

PATH = "/test/api/sign.htm"
MAX_BODY_BYTES = 262_144

# protocol 7: published with its key, so that everybody holds it.
_PUBLISHED = App(
    app_id=0,
    app=TEST_APP,
    name="",
    key=TEST_KEY,
    old_key="",
    old_key_until_ms=0,
    rules=AppRules(),
    merchant_ids=frozenset(),
    is_disabled=False,
)


Links = Callable[[Request], list[dict[str, str]]]


def routes(deployment: Deployment, commands: Mapping[str, Command], links: Links) -> list[BaseRoute]:
    """The page; for deployments with demo pages. `links`: to the other ones."""
    pages = Pages()

    def draw(request: Request, text: str, theirs: str = "", found: debugger.Examination | None = None) -> Response:
        return pages.render(
            request,
            "debugger/page.html",
            is_sandbox=deployment.is_sandbox,
            pages=links(request),
            text=text,
            theirs=theirs,
            found=found,
            marks=marks_of(found.diagnosis) if found else {},
            has_their_text=bool(theirs.strip()),
            in_console=False,
        )

    async def ask(request: Request) -> Response:
        text = _example(commands, deployment.clock.now_ms()) if "example" in request.query_params else ""
        return draw(request, text)

    async def answer(request: Request) -> Response:
        try:
            body = await read_body(request, limit=MAX_BODY_BYTES)
            fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=8)
        except BodyTooLarge:
            return Response(status_code=413)
        except (ValueError, ClientDisconnect):
            return Response(status_code=400)
        text, theirs = (fields.get(name, [""])[0].replace("\r\n", "\n") for name in ("text", "theirs"))
        asked = Asked(text=text, their_text=theirs, app=_PUBLISHED, at_ms=deployment.clock.now_ms())
        if debugger.app_named(text) not in ("", TEST_APP):
            asked = Asked(text=text, their_text=theirs, at_ms=deployment.clock.now_ms())
        texts = pages.texts[language_of(request)]
        found = await debugger.examine(asked, commands, texts, offers_browser=True)
        return draw(request, text, theirs, found)

    return [Route(PATH, ask, methods=["GET"]), Route(PATH, answer, methods=["POST"])]


def _example(commands: Mapping[str, Command], now_ms: int) -> str:
    """A request with the commonest mistake: a value that is empty takes part in the signature."""
    scan = commands["open.pay.scan"]
    form = {
        "command": scan.name,
        "app": TEST_APP,
        "operator_id": TEST_OPERATOR,
        "timestamp": str(now_ms),
        "local_order_no": f"debug{now_ms}",
        "channel": "1",
        "amount": "120",
        "subject": "一杯咖啡",
        "goods_list": "",
    }
    signed = {name: value for name, value in form.items() if name in scan.signed}
    text = Recipe(values=signed, keeps_empty=True).full_text(TEST_KEY)
    return urlencode({**form, "sign": signature("MD5", text.encode(), b"")})
