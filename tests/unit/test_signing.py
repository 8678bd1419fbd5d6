"""Signatures of requests and of our own replies (protocol 2, 3)."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from opentill.commands.registry import load_commands
from opentill.protocol import signing

KEY = "thisistestkey"
# protocol 2: the published example, a barcode payment.
GOLDEN = {
    "barcode": "123123123123",
    "local_order_no": "localorderno123123123123",
    "app": "zyptestapp",
    "operator_id": "axgdfdafd34124",
    "amount": "100",
    "un_discount_amount": "",
    "timestamp": "1460512556270",
    "subject": "这是一笔支付订单",
    "goods_list": "",
}
GOLDEN_SIGN = "37fd31004368f9e616f277c6436985eb"
SIGNED = frozenset(GOLDEN)


@pytest.fixture(scope="module")
def platform() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def test_the_published_example_has_the_published_signature() -> None:
    assert signing.md5_sign(GOLDEN, KEY) == GOLDEN_SIGN


def test_empty_values_are_dropped_and_names_sorted_by_bytes() -> None:
    values = {"b": "2", "a": "1", "B": "0", "_": "u", "é": "e", "empty": "", "spaces": "   ", "tab": "\t"}

    text = signing.string_to_sign(values)

    assert text == "B=0&_=u&a=1&b=2&tab=\t&é=e"


def test_values_are_signed_raw() -> None:
    assert signing.string_to_sign({"a": "1&b=2 %41+", "c": " x "}) == "a=1&b=2 %41+&c= x "


@pytest.mark.parametrize(
    ("extra", "sign"),
    [
        ({}, GOLDEN_SIGN),
        ({}, GOLDEN_SIGN.upper()),
        # what is never signed may come along
        (
            {
                "command": "open.pay.barcode", "version": "1.1", "notify_url": "http://n", "redirect_url": "http://r",
                "key": KEY, "signString": "amount=100",
            },
            GOLDEN_SIGN,
        ),
        # unknown, and not signed by this client
        ({"remark": "hello"}, GOLDEN_SIGN),
        # unknown, and signed by this client: all parameters received
        ({"remark": "hello"}, signing.md5_sign({**GOLDEN, "remark": "hello"}, KEY)),
        ({"goods_list": "   "}, GOLDEN_SIGN),
    ],
)  # fmt: skip
def test_the_documented_set_matches_or_else_all_parameters(extra: dict[str, str], sign: str) -> None:
    assert signing.matches_md5({**GOLDEN, **extra, "sign": sign}, signed=SIGNED, key=KEY, sign=sign)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"amount": "101"}, KEY),
        ({"amount": ""}, KEY),
        ({"un_discount_amount": "1"}, KEY),
        ({"local_order_no": "localorderno12312312312"}, KEY),
        ({"subject": "这是一笔支付订单 "}, KEY),
        ({}, KEY + "x"),
        ({}, ""),
    ],
)
def test_another_value_or_key_does_not_match(change: dict[str, str], key: str) -> None:
    assert not signing.matches_md5({**GOLDEN, **change}, signed=SIGNED, key=key, sign=GOLDEN_SIGN)


def test_nothing_but_the_two_sets_is_tried() -> None:
    # A client that signs the command, or half of the set, is not understood.
    with_command = {**GOLDEN, "command": "open.pay.barcode"}
    half = {name: GOLDEN[name] for name in ("app", "timestamp")}

    for values in (with_command, half):
        sign = signing.md5_sign(values, KEY)
        assert not signing.matches_md5({**with_command, "sign": sign}, signed=SIGNED, key=KEY, sign=sign)


@pytest.mark.parametrize("sign", ["", "0", "签名", "'; --", GOLDEN_SIGN[:-1], GOLDEN_SIGN + "0"])
def test_nonsense_is_no_signature(sign: str) -> None:
    assert not signing.matches_md5(GOLDEN, signed=SIGNED, key=KEY, sign=sign)
    assert not signing.matches_hmac(GOLDEN, key=KEY, sign=sign)


def test_the_strict_method_covers_every_parameter() -> None:
    values = {"command": "open.pay.scan", "version": "1.1", "amount": "1", "notify_url": "http://n"}
    sign = signing.hmac_sign(values, KEY)

    assert len(sign) == 64
    assert signing.matches_hmac(values, key=KEY, sign=sign.upper())
    for name in values:
        assert not signing.matches_hmac({**values, name: "other"}, key=KEY, sign=sign)


def test_our_own_signature_is_verified_with_the_published_key(platform: rsa.RSAPrivateKey) -> None:
    values = {"cbOrderNo": "1", "empty": "", "totalAmount": "100"}

    sign = signing.rsa2_sign(values, platform)

    published = load_der_public_key(base64.b64decode(signing.public_key_text(platform.public_key()), validate=True))
    assert isinstance(published, rsa.RSAPublicKey)
    assert signing.matches_rsa2({"totalAmount": "100", "cbOrderNo": "1"}, published, sign)
    assert not signing.matches_rsa2({"totalAmount": "101", "cbOrderNo": "1"}, published, sign)


@pytest.mark.parametrize("sign", ["", "AAAA", "not base64", "签名", "AAAA" * 86])
def test_nonsense_is_no_rsa2_signature(platform: rsa.RSAPrivateKey, sign: str) -> None:
    assert not signing.matches_rsa2({"a": "1"}, platform.public_key(), sign)


# protocol 4: the tables of the published pages, by hand.
_COMMON = {"operator_id", "app", "timestamp"}
SIGNED_SETS = {
    "open.pay.scan": {
        "local_order_no", "channel", "amount", "un_discount_amount", "subject", "goods_list", "device_create_ip",
    },
    "open.pay.barcode": {"barcode", "local_order_no", "amount", "un_discount_amount", "subject", "goods_list"},
    "open.pay.h5": {"local_order_no", "amount", "un_discount_amount", "subject", "goods_list", "device_create_ip"},
    "open.pay.mp": {
        "local_order_no", "amount", "un_discount_amount", "subject", "goods_list", "device_create_ip", "sub_app_id",
        "open_id",
    },
    "open.pay.query": {"order_no", "local_order_no"},
    "open.pay.refund": {"order_no", "local_order_no", "reason", "local_refund_no"},
    "open.pay.reverse": {"order_no", "local_order_no"},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(load_commands()))
def test_an_interface_signs_what_its_published_page_says(name: str) -> None:
    assert load_commands()[name].signed == SIGNED_SETS[name] | _COMMON
