"""An account at WeChat Pay: its settings, and what becomes of them once they are parsed and checked."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from opentill.channels.base import AccountField, AccountProblem
from opentill.channels.keys import (
    certificate_key,
    read_certificates,
    read_private_key,
    read_public_key,
    refuse_own_key,
)
from opentill.channels.values import setting

APPID = AccountField(
    name="appid",
    label_zh="AppID",
    label_en="App id",
    help_zh="与商户号绑定的公众号、小程序等的 AppID；服务商模式填服务商的 AppID",
    help_en="AppID bound to the merchant number; the service provider's own in partner mode",
)
MCHID = AccountField(
    name="mchid",
    label_zh="商户号",
    label_en="Merchant number",
    help_zh="微信支付商户号，纯数字；服务商模式填服务商商户号",
    help_en="WeChat Pay merchant number, digits only; the service provider's own in partner mode",
)
MERCHANT_SERIAL = AccountField(
    name="merchant_serial",
    label_zh="商户 API 证书序列号",
    label_en="Merchant certificate serial number",
    help_zh="商户平台“账户中心 - API 安全”中查看，40 位十六进制",
    help_en="Shown under API security on the merchant platform, 40 hex digits",
)
MERCHANT_PRIVATE_KEY = AccountField(
    name="merchant_private_key",
    label_zh="商户 API 私钥",
    label_en="Merchant private key",
    help_zh="apiclient_key.pem 的内容",
    help_en="The content of apiclient_key.pem",
    is_secret=True,
    is_multiline=True,
)
API_V3_KEY = AccountField(
    name="api_v3_key",
    label_zh="APIv3 密钥",
    label_en="APIv3 key",
    help_zh="商户平台设置的 32 位密钥，用于解密回调",
    help_en="The 32 characters set on the merchant platform; decrypts callbacks",
    is_secret=True,
)
APP_SECRET = AccountField(
    name="app_secret",
    label_zh="AppSecret",
    label_en="App secret",
    help_zh="选填。上面 AppID 所属公众号的 AppSecret；H5 链接（open.pay.h5）用它识别付款人，不填则链接不支持微信",
    help_en="Optional. AppSecret of the official account with the AppID above; links of open.pay.h5 recognise "
    "the payer by it, and do not offer WeChat without",
    is_required=False,
    is_secret=True,
)
PUBLIC_KEY_ID = AccountField(
    name="public_key_id",
    label_zh="微信支付公钥 ID",
    label_en="WeChat Pay public key id",
    help_zh="公钥模式填写，以 PUB_KEY_ID_ 开头；与微信支付公钥成对填写",
    help_en="For public-key mode, starts with PUB_KEY_ID_; goes with the public key",
    is_required=False,
)
PUBLIC_KEY = AccountField(
    name="public_key",
    label_zh="微信支付公钥",
    label_en="WeChat Pay public key",
    help_zh="公钥模式填写，pub_key.pem 的内容，不是商户自己的公钥",
    help_en="For public-key mode: the content of pub_key.pem, not the merchant's own key",
    is_required=False,
    is_multiline=True,
)
PLATFORM_CERTIFICATES = AccountField(
    name="platform_certificates",
    label_zh="微信支付平台证书",
    label_en="WeChat Pay platform certificates",
    help_zh="选填，可依次粘贴多张 PEM；公钥与证书都不填时自动下载平台证书",
    help_en="Optional, one or more as PEM; fetched automatically when neither these nor the public key are given",
    is_required=False,
    is_multiline=True,
)
SUB_MCHID = AccountField(
    name="sub_mchid",
    label_zh="子商户号",
    label_en="Sub-merchant number",
    help_zh="服务商模式必填，直连商户留空",
    help_en="Needed in partner mode, empty for a direct merchant",
    is_required=False,
)
SUB_APPID = AccountField(
    name="sub_appid",
    label_zh="子商户 AppID",
    label_en="Sub-merchant app id",
    help_zh="服务商模式选填",
    help_en="Optional, in partner mode",
    is_required=False,
)

FIELDS = (
    APPID,
    MCHID,
    MERCHANT_SERIAL,
    MERCHANT_PRIVATE_KEY,
    API_V3_KEY,
    APP_SECRET,
    PUBLIC_KEY_ID,
    PUBLIC_KEY,
    PLATFORM_CERTIFICATES,
    SUB_MCHID,
    SUB_APPID,
)

PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"

_APPID = re.compile(r"[A-Za-z0-9_\-]{1,32}", re.ASCII)
_MCHID = re.compile(r"\d{1,32}", re.ASCII)
_SERIAL = re.compile(r"[0-9A-Fa-f]{40}", re.ASCII)
_PUBLIC_KEY_ID = re.compile(PUBLIC_KEY_PREFIX + r"[0-9A-Za-z]{1,64}", re.ASCII)
_APP_SECRET = re.compile(r"[0-9A-Za-z]{16,64}", re.ASCII)
_API_V3_KEY_BYTES = 32


@dataclass(repr=False, eq=False)
class WechatAccount:
    """An opened account. `wallet_keys` maps what Wechatpay-Serial may say to the key that verifies.

    Platform certificates that are fetched later are added to it; nothing else changes. No repr: it holds keys.
    """

    appid: str
    mchid: str
    merchant_serial: str
    private_key: RSAPrivateKey
    aead: AESGCM
    app_secret: str
    public_key_id: str
    sub_mchid: str
    sub_appid: str
    wallet_keys: dict[str, RSAPublicKey]
    fetched_at_ms: int = 0
    tried_at_ms: int = 0
    is_certificate_missing: bool = False
    fetching: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_partner(self) -> bool:
        """Whether a service provider acts for a sub-merchant (channels B.4)."""
        return bool(self.sub_mchid)


def open_account(settings: Mapping[str, str]) -> WechatAccount:
    """Parse and check the settings. Raises AccountProblem."""
    values = {each.name: setting(settings, each) for each in FIELDS}
    _check(APPID, values, _APPID, "字母、数字、下划线或连字符，不超过 32 位", "1 to 32 letters, digits, _ or -")
    _check(MCHID, values, _MCHID, "不超过 32 位的数字", "digits, at most 32")
    _check(MERCHANT_SERIAL, values, _SERIAL, "40 位十六进制字符", "40 hex digits")
    _check(SUB_MCHID, values, _MCHID, "不超过 32 位的数字", "digits, at most 32")
    _check(SUB_APPID, values, _APPID, "字母、数字、下划线或连字符，不超过 32 位", "1 to 32 letters, digits, _ or -")
    _check(APP_SECRET, values, _APP_SECRET, "16 到 64 位字母和数字", "16 to 64 letters and digits")
    private_key = read_private_key(MERCHANT_PRIVATE_KEY.name, values[MERCHANT_PRIVATE_KEY.name])
    api_v3_key = values[API_V3_KEY.name].encode()
    if len(api_v3_key) != _API_V3_KEY_BYTES:
        raise AccountProblem(
            API_V3_KEY.name,
            f"APIv3 密钥应为 {_API_V3_KEY_BYTES} 个字节，现在是 {len(api_v3_key)} 个",
            f"the APIv3 key has {_API_V3_KEY_BYTES} bytes, this one has {len(api_v3_key)}",
        )
    return WechatAccount(
        appid=values[APPID.name],
        mchid=values[MCHID.name],
        merchant_serial=values[MERCHANT_SERIAL.name].upper(),
        private_key=private_key,
        aead=AESGCM(api_v3_key),
        app_secret=values[APP_SECRET.name],
        public_key_id=values[PUBLIC_KEY_ID.name],
        sub_mchid=values[SUB_MCHID.name],
        sub_appid=values[SUB_APPID.name],
        wallet_keys=_public_key(values, private_key) | _certificates(values, private_key),
    )


def serial_name(serial: str) -> str:
    """One spelling for a certificate's serial number, whoever wrote it."""
    return serial if serial.startswith(PUBLIC_KEY_PREFIX) else serial.upper().lstrip("0")


def certificate_serial(number: int) -> str:
    return serial_name(f"{number:X}")


def _public_key(values: Mapping[str, str], private_key: RSAPrivateKey) -> dict[str, RSAPublicKey]:
    pair = (PUBLIC_KEY_ID, PUBLIC_KEY)
    missing = [each for each in pair if not values[each.name]]
    if len(missing) == len(pair):
        return {}
    if missing:
        raise AccountProblem(
            missing[0].name,
            "微信支付公钥与公钥 ID 须同时填写",
            "the public key and its id go together; one is missing",
        )
    _check(PUBLIC_KEY_ID, values, _PUBLIC_KEY_ID, "以 PUB_KEY_ID_ 开头的公钥 ID", "an id starting with PUB_KEY_ID_")
    key = read_public_key(PUBLIC_KEY.name, values[PUBLIC_KEY.name])
    refuse_own_key(PUBLIC_KEY.name, key, private_key, wallet_zh="微信支付", wallet_en="WeChat Pay")
    return {values[PUBLIC_KEY_ID.name]: key}


def _certificates(values: Mapping[str, str], private_key: RSAPrivateKey) -> dict[str, RSAPublicKey]:
    name = PLATFORM_CERTIFICATES.name
    if not values[name]:
        return {}
    keys = {}
    for certificate in read_certificates(name, values[name]):
        key = certificate_key(name, certificate)
        refuse_own_key(name, key, private_key, wallet_zh="微信支付", wallet_en="WeChat Pay")
        keys[certificate_serial(certificate.serial_number)] = key
    return keys


def _check(
    each: AccountField, values: Mapping[str, str], form: re.Pattern[str], expected_zh: str, expected_en: str
) -> None:
    value = values[each.name]
    if value and not form.fullmatch(value):
        raise AccountProblem(each.name, f"{each.label_zh}应为{expected_zh}", f"{each.label_en}: expected {expected_en}")
