"""The merchants of both wallets: numbers, keys, certificates. The first start opens one of each."""

import secrets
import string
from functools import cached_property
from typing import Generic, TypeVar

import msgspec

from opentill.twin import keys
from opentill.twin.books import Books
from opentill.twin.keys import KeyPair, PublicKey

ALIPAY = "alipay"
WECHAT = "wechat"
_ROOT = "OpenTill twin root"
_ROOT_SETTING = "root"
# Root, then for Alipay: the app's and the wallet's; for WeChat Pay: the merchant's, the wallet's and the platform's.
_KEYS_OF_ROOT, _KEYS_OF_ALIPAY, _KEYS_OF_WECHAT = 1, 2, 3


class AlipayMerchant(msgspec.Struct, frozen=True):
    """All that an integrator gets from Alipay. `app_private_key_pem` is empty when the merchant brought its own key."""

    app_id: str
    seller_id: str
    app_private_key_pem: str
    app_public_key_pem: str
    alipay_public_key_pem: str
    app_cert_pem: str
    alipay_cert_pem: str
    alipay_root_cert_pem: str


class WechatMerchant(msgspec.Struct, frozen=True):
    """All that an integrator gets from WeChat Pay. `merchant_private_key_pem` is empty for a key of its own."""

    appid: str
    app_secret: str
    mchid: str
    merchant_serial: str
    merchant_private_key_pem: str
    merchant_public_key_pem: str
    api_v3_key: str
    public_key_id: str
    public_key_pem: str
    platform_certificate_serial: str
    platform_certificate_pem: str


class AlipayAccount(msgspec.Struct, frozen=True, dict=True):
    """An Alipay merchant as the wallet knows it."""

    merchant: AlipayMerchant
    alipay_private_key_pem: str
    next_private_key_pem: str = ""
    next_cert_pem: str = ""

    @cached_property
    def key(self) -> KeyPair:
        """Signs answers and callbacks, in both key and certificate mode."""
        return KeyPair(self.alipay_private_key_pem)

    @cached_property
    def next_key(self) -> KeyPair:
        """The key that follows `key`, once Alipay has made one."""
        return KeyPair(self.next_private_key_pem)

    @cached_property
    def certificates(self) -> dict[str, str]:
        """Alipay's certificates (PEM) by their SN."""
        pems = [pem for pem in (self.merchant.alipay_cert_pem, self.next_cert_pem) if pem]
        return {keys.certificate_sn(pem): pem for pem in pems}

    @cached_property
    def app_key(self) -> PublicKey:
        return PublicKey(self.merchant.app_public_key_pem)

    @cached_property
    def app_cert_sn(self) -> str:
        return keys.certificate_sn(self.merchant.app_cert_pem)

    @cached_property
    def alipay_cert_sn(self) -> str:
        return keys.certificate_sn(self.merchant.alipay_cert_pem)

    @cached_property
    def root_cert_sn(self) -> str:
        return keys.certificate_sn(self.merchant.alipay_root_cert_pem)


class WechatAccount(msgspec.Struct, frozen=True, dict=True):
    """A WeChat Pay merchant as the wallet knows it."""

    merchant: WechatMerchant
    wallet_private_key_pem: str
    platform_private_key_pem: str
    is_public_key_only: bool = False

    @cached_property
    def merchant_key(self) -> PublicKey:
        return PublicKey(self.merchant.merchant_public_key_pem)

    @cached_property
    def signers(self) -> dict[str, KeyPair]:
        """The keys that may sign answers and callbacks, by what `Wechatpay-Serial` calls them (channels B.3)."""
        signers = {self.merchant.public_key_id: KeyPair(self.wallet_private_key_pem)}
        if self.is_public_key_only:
            return signers
        return signers | {self.merchant.platform_certificate_serial: KeyPair(self.platform_private_key_pem)}

    def signer(self, serial: str) -> KeyPair:
        """The key of that name; also one that the merchant has given up since."""
        is_certificate = serial == self.merchant.platform_certificate_serial
        return KeyPair(self.platform_private_key_pem) if is_certificate else self.signers[self.merchant.public_key_id]

    def other_signer(self, serial: str) -> str:
        """The name of the key that signs after a change from `serial` (channels B.3: both ways are documented)."""
        is_certificate = serial == self.merchant.platform_certificate_serial
        return self.merchant.public_key_id if is_certificate else self.merchant.platform_certificate_serial

    @property
    def usual_signer(self) -> str:
        """Signs when a request names no key: the platform certificate, where there is one (channels B.3)."""
        return self.merchant.public_key_id if self.is_public_key_only else self.merchant.platform_certificate_serial

    @property
    def platform_certificates(self) -> list[str]:
        """PEM, the newest first."""
        return [self.merchant.platform_certificate_pem]


class Root(msgspec.Struct, frozen=True):
    """The authority that certifies Alipay's, the apps' and WeChat Pay's platform keys."""

    private_pem: str
    certificate_pem: str


AccountT = TypeVar("AccountT", AlipayAccount, WechatAccount)


class Register(Generic[AccountT]):
    """The accounts of one wallet by number, in the order they were opened."""

    def __init__(self, wallet: str, kind: type[AccountT]) -> None:
        self._wallet = wallet
        self._kind: type[AccountT] = kind
        self._accounts: dict[str, AccountT] = {}

    def load(self, books: Books) -> None:
        rows = books.all("SELECT merchant, document FROM merchants WHERE wallet = ? ORDER BY id", self._wallet)
        self._accounts = {number: msgspec.json.decode(document, type=self._kind) for number, document in rows}

    def add(self, books: Books, number: str, account: AccountT) -> None:
        document = msgspec.json.encode(account).decode()
        books.run("INSERT INTO merchants (wallet, merchant, document) VALUES (?, ?, ?)", self._wallet, number, document)
        self._accounts[number] = account

    def replace(self, books: Books, number: str, account: AccountT) -> None:
        document = msgspec.json.encode(account).decode()
        books.run("UPDATE merchants SET document = ? WHERE wallet = ? AND merchant = ?", document, self._wallet, number)
        self._accounts[number] = account

    def get(self, number: str) -> AccountT | None:
        return self._accounts.get(number)

    def __contains__(self, number: str) -> bool:
        return number in self._accounts

    def all(self) -> list[AccountT]:
        return list(self._accounts.values())

    def named(self, number: str | None) -> AccountT:
        """The account of that number, or the first. Raises KeyError."""
        return next(iter(self._accounts.values())) if number is None else self._accounts[number]


class Merchants:
    """The merchants of both wallets."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self.alipay = Register(ALIPAY, AlipayAccount)
        self.wechat = Register(WECHAT, WechatAccount)
        self._out_of_money: set[tuple[str, str]] = set()

    def with_next_key(self, account: AlipayAccount, *, now_ms: int) -> AlipayAccount:
        """The account once Alipay has made the key that follows the present one, and its certificate."""
        if account.next_private_key_pem:
            return account
        (key,) = keys.new_key_pairs(1)
        certificate = _certified(self.root, "alipay", key, serial=keys.new_serial(), now_ms=now_ms)
        grown = msgspec.structs.replace(account, next_private_key_pem=key.private_pem, next_cert_pem=certificate)
        self.alipay.replace(self._books, account.merchant.app_id, grown)
        return grown

    @property
    def root(self) -> Root:
        """The authority behind all certificates."""
        return msgspec.json.decode(self._books.setting(_ROOT_SETTING) or "", type=Root)

    def is_out_of_money(self, wallet: str, number: str) -> bool:
        """Whether the merchant's account cannot pay for refunds just now."""
        return (wallet, number) in self._out_of_money

    def set_out_of_money(self, wallet: str, number: str, *, is_out: bool) -> None:
        """Empty or fill the merchant's account. It is full again after a restart."""
        if is_out:
            self._out_of_money.add((wallet, number))
        else:
            self._out_of_money.discard((wallet, number))

    def open(self, *, now_ms: int) -> None:
        """Load the merchants; the first time, open one of each wallet."""
        self.alipay.load(self._books)
        self.wechat.load(self._books)
        if self.alipay.all() and self.wechat.all():
            return
        made = keys.new_key_pairs(_KEYS_OF_ROOT + _KEYS_OF_ALIPAY + _KEYS_OF_WECHAT)
        root_key, app_key, alipay_key, merchant_key, wallet_key, platform_key = made
        with self._books.write():
            root = _new_root(root_key, now_ms=now_ms)
            self._books.set_setting(_ROOT_SETTING, msgspec.json.encode(root).decode())
            alipay = new_alipay_account(root, app_key, alipay_key, now_ms=now_ms)
            self.alipay.add(self._books, alipay.merchant.app_id, alipay)
            wechat = new_wechat_account(root, merchant_key, wallet_key, platform_key, now_ms=now_ms)
            self.wechat.add(self._books, wechat.merchant.mchid, wechat)


def new_alipay_account(root: Root, app_key: KeyPair, alipay_key: KeyPair, *, now_ms: int) -> AlipayAccount:
    """An Alipay merchant with fresh numbers."""
    app_id, seller_id = "2021" + _digits(12), "2088" + _digits(12)
    merchant = AlipayMerchant(
        app_id=app_id,
        seller_id=seller_id,
        app_private_key_pem=app_key.private_pem,
        app_public_key_pem=app_key.public_pem,
        alipay_public_key_pem=alipay_key.public_pem,
        app_cert_pem=_certified(root, f"{seller_id}-{app_id}", app_key, serial=keys.new_serial(), now_ms=now_ms),
        alipay_cert_pem=_certified(root, "alipay", alipay_key, serial=keys.new_serial(), now_ms=now_ms),
        alipay_root_cert_pem=root.certificate_pem,
    )
    return AlipayAccount(merchant=merchant, alipay_private_key_pem=alipay_key.private_pem)


def new_wechat_account(
    root: Root, merchant_key: KeyPair, wallet_key: KeyPair, platform_key: KeyPair, *, now_ms: int
) -> WechatAccount:
    """A WeChat Pay merchant with fresh numbers, who may use the public key and the platform certificate."""
    serial = keys.new_serial()
    merchant = WechatMerchant(
        appid="wx" + secrets.token_hex(8),
        app_secret=secrets.token_hex(16),
        mchid="16" + _digits(8),
        merchant_serial=keys.serial_hex(keys.new_serial()),
        merchant_private_key_pem=merchant_key.private_pem,
        merchant_public_key_pem=merchant_key.public_pem,
        api_v3_key="".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32)),
        public_key_id="PUB_KEY_ID_01" + _digits(26),
        public_key_pem=wallet_key.public_pem,
        platform_certificate_serial=keys.serial_hex(serial),
        platform_certificate_pem=_certified(root, "wechat pay", platform_key, serial=serial, now_ms=now_ms),
    )
    return WechatAccount(
        merchant=merchant,
        wallet_private_key_pem=wallet_key.private_pem,
        platform_private_key_pem=platform_key.private_pem,
    )


def _new_root(key: KeyPair, *, now_ms: int) -> Root:
    certificate = keys.new_certificate(
        _ROOT, key, issuer=_ROOT, issuer_key=key, serial=keys.new_serial(), now_ms=now_ms
    )
    return Root(private_pem=key.private_pem, certificate_pem=certificate)


def _certified(root: Root, subject: str, key: KeyPair, *, serial: int, now_ms: int) -> str:
    issuer_key = KeyPair(root.private_pem)
    return keys.new_certificate(subject, key, issuer=_ROOT, issuer_key=issuer_key, serial=serial, now_ms=now_ms)


def _digits(count: int) -> str:
    return "".join(secrets.choice(string.digits) for _ in range(count))
