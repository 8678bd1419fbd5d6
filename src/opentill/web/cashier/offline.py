"""The page that a till shows while the gateway cannot be reached, and the worker that brings it along.

A browser keeps the worker, and the worker carries the page as text: one document that needs nothing else, and no cache
in which anything could grow old. Browsers run workers on https and on the same machine only.
"""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from opentill.web.pages import SECURITY_HEADERS, Pages

_FILES = Path(__file__).parent.parent / "static" / "till"
_STYLE, _SCRIPT, _WORKER = ((_FILES / name).read_text("utf-8") for name in ("offline.css", "offline.js", "worker.js"))


def _source(text: str) -> str:
    """What a policy calls an inline text by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_HEADERS: Mapping[str, str] = {
    **SECURITY_HEADERS,
    "Content-Security-Policy": f"default-src 'none'; script-src {_source(_SCRIPT)}; style-src {_source(_STYLE)}; "
    "img-src data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
}


def waiting_page(pages: Pages, request: Request) -> Response:
    """503, and by itself back to the till when the gateway answers."""
    response = pages.render(request, "till/offline.html", style=_STYLE, script=_SCRIPT)
    response.status_code = 503
    response.headers.update(_HEADERS)
    return response


def worker(pages: Pages, request: Request) -> Response:
    """The script that browsers keep, with the page in the language of `?lang=`."""
    page = waiting_page(pages, request)
    kept = (*_HEADERS, "Content-Type", "Content-Language")
    answer = {"html": bytes(page.body).decode(), "headers": {name: page.headers[name] for name in kept}}
    script = f"const ANSWER = {msgspec.json.encode(answer).decode()};\n{_WORKER}"
    # It may ask our own pages and nobody else, and it is asked for anew at every start of a till.
    headers = {
        **SECURITY_HEADERS,
        "Content-Security-Policy": "default-src 'none'; connect-src 'self'",
        "Cache-Control": "no-cache",
    }
    return Response(script, headers=headers, media_type="text/javascript; charset=utf-8")
