"""The console's cookies: the session, a mark for who is not signed in yet, and a message for the next page."""

import base64
import binascii
import hmac
import secrets

from starlette.requests import Request
from starlette.responses import Response

from opentill.services.deployment import Deployment

MAX_FLASH = 1_000
_CSRF_PLACE = "console.csrf"
_FLASH_PLACE = "console.flash"


class Cookies:
    """Reads and sets them. On https their names begin with `__Host-`: no other host or path can have set them."""

    def __init__(self, deployment: Deployment) -> None:
        self._sealer = deployment.sealer
        self._is_https = deployment.public_base_url.startswith("https://")
        prefix = "__Host-" if self._is_https else ""
        self.session_name = f"{prefix}opentill_session"
        self.guest_name = f"{prefix}opentill_guest"
        self.flash_name = f"{prefix}opentill_flash"

    def session_token(self, request: Request) -> str:
        return request.cookies.get(self.session_name, "")

    def set_session(self, response: Response, token: str) -> None:
        """Until the browser closes, or the server ends it."""
        self._set(response, self.session_name, token)

    def drop_session(self, response: Response) -> None:
        self._drop(response, self.session_name)

    def guest(self, request: Request) -> str:
        """The mark of a browser that is not signed in; a fresh one when it has none yet."""
        given = request.cookies.get(self.guest_name, "")
        return given if len(given) == 43 else secrets.token_urlsafe(32)

    def set_guest(self, response: Response, guest: str) -> None:
        self._set(response, self.guest_name, guest)

    def csrf_token(self, owner: str) -> str:
        """What a form of this session or guest must bring along. Nobody can compute it for another."""
        return self._sealer.mac(owner, place=_CSRF_PLACE).hex()

    def accepts_csrf(self, owner: str, token: str) -> bool:
        return hmac.compare_digest(self.csrf_token(owner).encode(), token.encode())

    def set_flash(self, response: Response, owner: str, text: str) -> None:
        raw = text[:MAX_FLASH].encode()
        mark = self._sealer.mac(owner + text[:MAX_FLASH], place=_FLASH_PLACE).hex()
        self._set(response, self.flash_name, base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=") + "." + mark)

    def flash(self, request: Request, owner: str) -> str:
        """The message that we left for this owner; "" when there is none."""
        body, _, mark = request.cookies.get(self.flash_name, "").partition(".")
        try:
            text = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
        except (binascii.Error, ValueError):
            return ""
        wanted = self._sealer.mac(owner + text, place=_FLASH_PLACE).hex()
        return text if hmac.compare_digest(wanted.encode(), mark.encode()) else ""

    def drop_flash(self, response: Response) -> None:
        self._drop(response, self.flash_name)

    def _set(self, response: Response, name: str, value: str) -> None:
        response.set_cookie(name, value, path="/", secure=self._is_https, httponly=True, samesite="lax")

    def _drop(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path="/", secure=self._is_https, httponly=True, samesite="lax")
