"""The merchants of both wallets: numbers, keys, certificates. The first start opens one of each."""

from functools import cached_property
from typing import Generic, TypeVar

import msgspec

from opentill.twin import keys
from opentill.twin.books import Books
from opentill.twin.keys import KeyPair, PublicKey

ALIPAY = "alipay"
WECHAT = "wechat"
_ROOT_SETTING = "root"


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


class Authorised(msgspec.Struct, frozen=True):
    """A merchant for whom an ISV's app may act."""

    auth_app_id: str
    seller_id: str


class AlipayAccount(msgspec.Struct, frozen=True, dict=True):
    """An Alipay merchant as the wallet knows it."""

    merchant: AlipayMerchant
    alipay_private_key_pem: str
    next_private_key_pem: str = ""
    next_cert_pem: str = ""
    opened_ms: int = 0
    escapes_slashes: bool = False  # channels A.4: the slash quirk, as a switch
    authorised: dict[str, Authorised] = {}

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

    def seller(self, auth_app_id: str) -> Authorised:
        """Who sells: the app's own merchant, or one it acts for."""
        for authorised in self.authorised.values():
            if authorised.auth_app_id == auth_app_id:
                return authorised
        return Authorised(auth_app_id=self.merchant.app_id, seller_id=self.merchant.seller_id)

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
        return keys.root_sn(self.merchant.alipay_root_cert_pem)


class WechatAccount(msgspec.Struct, frozen=True, dict=True):
    """A WeChat Pay merchant as the wallet knows it; `sub_merchants` are whom a partner serves: sub_mchid, sub_appid."""

    merchant: WechatMerchant
    wallet_private_key_pem: str
    platform_private_key_pem: str
    opened_ms: int = 0
    is_public_key_only: bool = False
    sub_merchants: dict[str, str] = {}

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
    """The authority that certifies Alipay's, the apps' and WeChat Pay's platform keys.

    `bundle_pem` is what Alipay hands out: this certificate beside one that is not signed with RSA.
    """

    private_pem: str
    certificate_pem: str
    bundle_pem: str = ""


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
        certificate = certified(self.root, "alipay", key.public_pem, serial=keys.new_serial(), now_ms=now_ms)
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

    def load(self) -> bool:
        """Load the merchants; whether there is at least one of each wallet."""
        self.alipay.load(self._books)
        self.wechat.load(self._books)
        return bool(self.alipay.all() and self.wechat.all())

    def set_root(self, root: Root) -> None:
        self._books.set_setting(_ROOT_SETTING, msgspec.json.encode(root).decode())


def certified(root: Root, subject: str, public_pem: str, *, serial: int, now_ms: int) -> str:
    """A certificate (PEM) that the root has signed."""
    issuer_key = KeyPair(root.private_pem)
    issuer = keys.common_name(root.certificate_pem)
    return keys.new_certificate(subject, public_pem, issuer=issuer, issuer_key=issuer_key, serial=serial, now_ms=now_ms)
