"""Opening accounts: fresh numbers, the wallet's keys, and the merchant's own key or one made for it."""

import secrets
import string

from opentill.twin import keys
from opentill.twin.keys import KeyPair
from opentill.twin.merchants import (
    AlipayAccount,
    AlipayMerchant,
    Authorised,
    Root,
    WechatAccount,
    WechatMerchant,
    certified,
)

# How many keys each needs: for Alipay the app's and the wallet's; for WeChat Pay the merchant's, the wallet's and the
# platform's. The merchant's comes first.
KEYS_OF_ALIPAY, KEYS_OF_WECHAT = 2, 3
_ROOT = "OpenTill twin root"


def new_root(key: KeyPair, *, now_ms: int) -> Root:
    certificate = keys.new_certificate(
        _ROOT, key.public_pem, issuer=_ROOT, issuer_key=key, serial=keys.new_serial(), now_ms=now_ms
    )
    bundle = keys.new_curve_certificate(f"{_ROOT} (EC)", now_ms=now_ms) + "\n" + certificate
    return Root(private_pem=key.private_pem, certificate_pem=certificate, bundle_pem=bundle)


def alipay_account(root: Root, app_key: KeyPair | str, alipay_key: KeyPair, *, now_ms: int) -> AlipayAccount:
    """An Alipay merchant with fresh numbers; `app_key` is a key made for it, or the PEM of its own public key."""
    app_id, seller_id = "2021" + _digits(12), "2088" + _digits(12)
    public_pem = app_key if isinstance(app_key, str) else app_key.public_pem
    merchant = AlipayMerchant(
        app_id=app_id,
        seller_id=seller_id,
        app_private_key_pem="" if isinstance(app_key, str) else app_key.private_pem,
        app_public_key_pem=public_pem,
        alipay_public_key_pem=alipay_key.public_pem,
        app_cert_pem=app_certificate(root, app_id, public_pem, now_ms=now_ms),
        alipay_cert_pem=certified(root, "alipay", alipay_key.public_pem, serial=keys.new_serial(), now_ms=now_ms),
        alipay_root_cert_pem=root.bundle_pem or root.certificate_pem,
    )
    return AlipayAccount(merchant=merchant, alipay_private_key_pem=alipay_key.private_pem, opened_ms=now_ms)


def app_certificate(root: Root, app_id: str, public_pem: str, *, now_ms: int) -> str:
    return certified(root, app_id, public_pem, serial=keys.new_serial(), now_ms=now_ms)


def wechat_account(
    root: Root, merchant_key: KeyPair | str, wallet_key: KeyPair, platform_key: KeyPair, *, now_ms: int
) -> WechatAccount:
    """A WeChat Pay merchant with fresh numbers, who may use the public key and the platform certificate."""
    serial = keys.new_serial()
    platform_pem = certified(root, "wechat pay", platform_key.public_pem, serial=serial, now_ms=now_ms)
    merchant = WechatMerchant(
        appid="wx" + secrets.token_hex(8),
        app_secret=secrets.token_hex(16),
        mchid="16" + _digits(8),
        merchant_serial=keys.serial_hex(keys.new_serial()),
        merchant_private_key_pem="" if isinstance(merchant_key, str) else merchant_key.private_pem,
        merchant_public_key_pem=merchant_key if isinstance(merchant_key, str) else merchant_key.public_pem,
        api_v3_key="".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32)),
        public_key_id="PUB_KEY_ID_01" + _digits(26),
        public_key_pem=wallet_key.public_pem,
        platform_certificate_serial=keys.serial_hex(serial),
        platform_certificate_pem=platform_pem,
    )
    return WechatAccount(
        merchant=merchant,
        wallet_private_key_pem=wallet_key.private_pem,
        platform_private_key_pem=platform_key.private_pem,
        opened_ms=now_ms,
    )


def authorised() -> tuple[str, Authorised]:
    """A merchant who lets an ISV's app act for it: the token and who it is (channels A.2, app_auth_token)."""
    token = _digits(6) + "BB" + secrets.token_hex(16)
    return token, Authorised(auth_app_id="2021" + _digits(12), seller_id="2088" + _digits(12))


def sub_merchant() -> tuple[str, str]:
    """A merchant whom a partner serves: `sub_mchid`, `sub_appid` (channels B.4)."""
    return "15" + _digits(8), "wx" + secrets.token_hex(8)


def _digits(count: int) -> str:
    return "".join(secrets.choice(string.digits) for _ in range(count))
