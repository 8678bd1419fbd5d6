"""Who opened a page inside a wallet: where its browser is sent, and what the answers mean (channels B.13)."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from opentill.base.outbound import Outbound
from opentill.channels.alipay import Alipay
from opentill.channels.alipay_account import AlipayAccount
from opentill.channels.wechat import Wechat
from opentill.channels.wechat_account import WechatAccount
from tests.channels.played import (
    ALIPAY_APP_ID,
    APPID,
    Heard,
    Said,
    alipay_answering,
    alipay_certificate_settings,
    alipay_said,
    alipay_settings,
    playing,
    wechat_settings,
    wire,
)

SECRET = "0123456789abcdef0123456789abcdef"
BACK = "https://till.example/pay/1?lang=en"
TOKEN = "alipay.system.oauth.token"


@asynccontextmanager
async def wechat(answer: Callable[[Heard], Said]) -> AsyncIterator[tuple[Wechat, WechatAccount, list[Heard]]]:
    async with playing(answer) as (base_url, heard), Outbound() as outbound:
        reached = msgspec.structs.replace(
            wire(outbound, "http://127.0.0.1:1"), oauth_base_url="https://open.example", api_base_url=base_url
        )
        channel = Wechat(reached)
        yield channel, channel.open_account(wechat_settings(app_secret=SECRET)), heard


@asynccontextmanager
async def alipay(
    answer: Mapping[str, Any] | Said, settings: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[Alipay, AlipayAccount, list[Heard]]]:
    async with playing(alipay_answering({"token": answer})) as (base_url, heard), Outbound() as outbound:
        channel = Alipay(msgspec.structs.replace(wire(outbound, base_url), oauth_base_url="https://openauth.example"))
        yield channel, channel.open_account(settings or alipay_settings()), heard


def told(text: str, status: int = 200) -> Callable[[Heard], Said]:
    return lambda _: Said(status, {"Content-Type": "text/plain"}, text.encode())


async def test_wechat_is_asked_silently_with_its_parameters_in_the_order_it_wants() -> None:
    async with wechat(told("{}")) as (channel, account, _):
        url = channel.authorize_url(account, BACK, "s1")

    assert url is not None
    parts = urlsplit(url)
    assert (parts.netloc, parts.path, parts.fragment) == (
        "open.example",
        "/connect/oauth2/authorize",
        "wechat_redirect",
    )
    assert parse_qsl(parts.query) == [
        ("appid", APPID),
        ("redirect_uri", BACK),
        ("response_type", "code"),
        ("scope", "snsapi_base"),
        ("state", "s1"),
    ]


async def test_without_an_app_secret_wechat_cannot_recognise_anybody() -> None:
    async with wechat(told("{}")) as (channel, _, _):
        account = channel.open_account(wechat_settings())

        assert channel.authorize_url(account, BACK, "s1") is None


async def test_wechat_tells_the_openid_of_a_code() -> None:
    async with wechat(told('{"access_token":"t","expires_in":7200,"openid":"oUpF8u_-1"}')) as (channel, account, heard):
        found = await channel.payer_of(account, "c&1")

    assert found.payer == "oUpF8u_-1"
    assert urlsplit(heard[0].path).path == "/sns/oauth2/access_token"
    assert dict(parse_qsl(urlsplit(heard[0].path).query)) == {
        "appid": APPID,
        "secret": SECRET,
        "code": "c&1",
        "grant_type": "authorization_code",
    }


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (told('{"errcode":40029,"errmsg":"invalid code"}'), "40029"),
        (told('{"errcode":40163,"errmsg":"code been used"}'), "40163"),
        (told('{"openid":""}'), "UNREADABLE"),
        (told('{"openid":"<script>"}'), "UNREADABLE"),
        (told('{"openid":7}'), "UNREADABLE"),
        (told("[]"), "UNREADABLE"),
        (told("oops"), "UNREADABLE"),
        (told('{"openid":"o1"}', 502), "HTTP_502"),
        (told("", 0), "REPLY_LOST"),
    ],
)
async def test_what_else_wechat_says_names_nobody(answer: Callable[[Heard], Said], code: str) -> None:
    async with wechat(answer) as (channel, account, _):
        found = await channel.payer_of(account, "c1")

    assert (found.payer, found.code) == ("", code)


async def test_an_unreachable_wechat_names_nobody_and_shows_no_secret() -> None:
    async with wechat(told("{}")) as (_, account, _), Outbound() as outbound:
        reached = msgspec.structs.replace(wire(outbound, "http://127.0.0.1:1"), api_base_url="http://127.0.0.1:1")

        found = await Wechat(reached).payer_of(account, "c1")

    assert (found.payer, found.code) == ("", "NOT_SENT")
    assert SECRET not in str(found)


async def test_alipay_is_asked_for_no_more_than_an_id() -> None:
    async with alipay({}) as (channel, account, _):
        url = channel.authorize_url(account, BACK, "s1")

    assert url is not None
    parts = urlsplit(url)
    assert (parts.netloc, parts.path) == ("openauth.example", "/oauth2/publicAppAuthorize.htm")
    assert dict(parse_qsl(parts.query)) == {
        "app_id": ALIPAY_APP_ID,
        "scope": "auth_base",
        "redirect_uri": BACK,
        "state": "s1",
    }


@pytest.mark.parametrize(
    ("node", "payer"),
    [
        ({"user_id": "2088000000000009", "access_token": "t"}, "2088000000000009"),
        ({"open_id": "0AbC", "access_token": "t"}, "0AbC"),
        ({"code": "10000", "user_id": "2088000000000009", "open_id": "0AbC"}, "2088000000000009"),
    ],
)
async def test_alipay_tells_the_user_of_a_code_with_or_without_a_code_of_success(
    node: dict[str, str], payer: str
) -> None:
    async with alipay(node) as (channel, account, heard):
        found = await channel.payer_of(account, "c1")

    assert found.payer == payer
    sent = heard[0].form
    assert (sent["method"], sent["grant_type"], sent["code"]) == (TOKEN, "authorization_code", "c1")
    assert "biz_content" not in sent


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"code": "40002", "sub_code": "isv.code-invalid", "user_id": "2088000000000009"}, "isv.code-invalid"),
        ({"access_token": "t"}, "UNREADABLE"),
        (alipay_said(TOKEN, {"user_id": "2088000000000009"}, by="stranger"), "BAD_SIGNATURE"),
        (Said(200, {}, b'{"alipay_system_oauth_token_response":{"user_id":"2088000000000009"}}'), "UNREADABLE"),
        (Said(200, {}, b'{"error_response":{"user_id":"2088000000000009"},"sign":""}'), "UNREADABLE"),
        (Said(0, {}, b""), "REPLY_LOST"),
    ],
)
async def test_what_else_alipay_says_names_nobody(answer: Mapping[str, Any] | Said, code: str) -> None:
    async with alipay(answer) as (channel, account, _):
        found = await channel.payer_of(account, "c1")

    assert (found.payer, found.code) == ("", code)


async def test_alipay_is_asked_in_certificate_mode_too() -> None:
    answer = alipay_said(TOKEN, {"user_id": "2088000000000009"})
    async with alipay(answer, alipay_certificate_settings()) as (channel, account, heard):
        found = await channel.payer_of(account, "c1")

    assert found.payer == "2088000000000009"
    assert heard[0].form["app_cert_sn"]


@pytest.mark.parametrize("secret", ["x" * 15, "x" * 65, "with blanks and more"])
def test_an_app_secret_that_cannot_be_one_is_explained(secret: str) -> None:
    channel = Wechat(wire(Outbound(), "http://127.0.0.1:1"))

    with pytest.raises(Exception, match="app_secret: App secret: expected 16 to 64") as problem:
        channel.open_account(wechat_settings(app_secret=secret))

    assert secret not in str(problem.value)
