"""What every page shares: templates, the reader's language, security headers and static files."""

import functools
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

CHINESE = "zh"
LANGUAGES = (CHINESE, "en")
LANGUAGE_COOKIE = "opentill_lang"

_HERE = Path(__file__).parent
_YEAR_S = 365 * 24 * 3600

# Nothing inline and nothing from elsewhere; forms post to ourselves; no other site may frame a page.
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}

Texts = Mapping[str, Mapping[str, str]]
"""One language's texts: section, key, text. Read once and shared: a dozen parts of a process draw pages."""


class _Compiled(BytecodeCache):
    """Templates are compiled once in a process, for all who draw them."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._codes[bucket.key, bucket.checksum] = bucket.code


_COMPILED = _Compiled()


class Pages:
    """Draws templates in the reader's language. `filters`: more of them than Jinja2 has."""

    def __init__(self, filters: Mapping[str, Callable[..., object]] | None = None) -> None:
        self.texts: dict[str, Texts] = {language: all_texts(language) for language in LANGUAGES}
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            bytecode_cache=_COMPILED,
        )
        self._templates.filters.update(filters or {})

    def render(self, request: Request, template: str, **values: object) -> HTMLResponse:
        """A page with every header it needs. A language asked for by `?lang=` is remembered in a cookie."""
        language = language_of(request)
        other = self.texts[language]["site"]["other_language_code"]
        html = self._templates.get_template(template).render(
            t=self.texts[language],
            language=language,
            other_language_url=_same_page(request, lang=other),
            path=request.url.path,
            **values,
        )
        response = HTMLResponse(html, headers=SECURITY_HEADERS)
        response.headers["Content-Language"] = self.texts[language]["site"]["language"]
        remember_language(request, response)
        return response


def language_of(request: Request) -> str:
    """`?lang=`, else the cookie, else Chinese."""
    for asked in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if asked in LANGUAGES:
            return asked
    return CHINESE


def remember_language(request: Request, response: Response) -> None:
    """In a cookie, when `?lang=` asked for it; a page does it by itself, an answer that leads elsewhere should."""
    if request.query_params.get("lang") in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, language_of(request), max_age=_YEAR_S, samesite="lax")


@functools.cache
def read_texts(name: str) -> Texts:
    """One file of texts: `en`, or `link.en`."""
    return tomllib.loads((_HERE / "texts" / f"{name}.toml").read_text(encoding="utf-8"))


@functools.cache
def all_texts(language: str) -> Texts:
    """The texts of all files of a language. Each section is in one of them only."""
    texts = dict(read_texts(language))
    for path in sorted((_HERE / "texts").glob(f"*.{language}.toml")):
        more = read_texts(path.stem)
        assert not texts.keys() & more.keys(), f"{path.name} repeats a section"
        texts |= more
    return texts


def static_mount() -> Mount:
    """`/static`: styles, scripts, vendored libraries. Browsers ask each time whether a file changed."""
    files = StaticFiles(directory=_HERE / "static")

    async def fresh(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Cache-Control"] = "no-cache"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await files(scope, receive, send_with_headers)

    return Mount("/static", app=fresh, name="static")


def favicon_route() -> Route:
    """`/favicon.ico`, which browsers ask for beside every page that names no icon, such as the public key."""

    async def favicon(_: Request) -> FileResponse:
        return FileResponse(_HERE / "static" / "favicon.svg", headers={"Cache-Control": "no-cache"})

    return Route("/favicon.ico", favicon, methods=["GET"])


def _same_page(request: Request, **query: str) -> str:
    url = request.url.include_query_params(**query)
    return f"{url.path}?{url.query}"
