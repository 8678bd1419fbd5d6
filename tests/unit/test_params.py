"""The edges of every parameter: the last good value and the first bad one (protocol 4)."""

import pytest

from opentill.base.errors import GatewayError
from opentill.protocol import params


def refusal_of(reader: object, text: str) -> str:
    """The catalogue's name of the refusal; empty: the value is accepted."""
    assert callable(reader)
    try:
        reader(text)
    except GatewayError as error:
        return error.name
    return ""


_C = "汉"
GOOD = [
    (params.read_amount_fen, "1", 1),
    (params.read_amount_fen, "10000000000", 10_000_000_000),
    (params.read_amount_fen, "0000000000000000001", 1),
    (params.read_un_discount_fen, "0", 0),
    (params.read_un_discount_fen, "10000000000", 10_000_000_000),
    (params.read_channel, "1", 1),
    (params.read_channel, "2", 2),
    (params.read_local_order_no, "x", "x"),
    (params.read_local_order_no, "x" * 64, "x" * 64),
    (params.read_local_order_no, _C * 64, _C * 64),
    (params.read_local_order_no, "a b-c_d/e:f🍵", "a b-c_d/e:f🍵"),
    (params.read_subject, _C * 19 + "a", _C * 19 + "a"),
    (params.read_subject, "a" * 39, "a" * 39),
    (params.read_subject, "一杯 coffee", "一杯 coffee"),
    (params.read_ip, "127.0.0.1", "127.0.0.1"),
    (params.read_ip, "2001:DB8::1", "2001:db8::1"),
    (params.read_url, "http://a", "http://a"),
    (params.read_url, "https://pay.example.com:8443/n?a=1&b=2#f", "https://pay.example.com:8443/n?a=1&b=2#f"),
    (params.read_url, "HTTP://Example.COM/", "HTTP://Example.COM/"),
    (params.read_url, "http://[2001:db8::1]:80/n", "http://[2001:db8::1]:80/n"),
    (params.read_url, "http://a/" + "x" * 503, "http://a/" + "x" * 503),
    (params.read_timestamp_ms, "1460512556270", 1_460_512_556_270),
    (params.read_timestamp_ms, "0", 0),
]
BAD = {
    "AMOUNT_INVALID": (
        params.read_amount_fen,
        ["0", "10000000001", "+1", "-1", "1.0", "1e2", " 1", "1 ", "１", "٣", "1_0", "0x1", "9" * 20, "一"],
    ),
    "UN_DISCOUNT_AMOUNT_INVALID": (params.read_un_discount_fen, ["10000000001", "+0", "-0", "0.0", "9" * 20, "x"]),
    "CHANNEL_INVALID": (params.read_channel, ["0", "5", "01", "1.0", "-1", "alipay", "１"]),
    "CHANNEL_NOT_AVAILABLE": (params.read_channel, ["3", "4"]),
    "LOCAL_ORDER_NO_INVALID": (
        params.read_local_order_no,
        ["x" * 65, " x", "x ", "\tx", "x\n", "a\tb", "a\x7fb", "a\u200bb", "a\u00a0b", "\u3000x"],
    ),
    "SUBJECT_INVALID": (
        params.read_subject, [_C * 20, _C * 19 + "ab", "a" * 40, "a\nb", "a\x1bb", "a\x85b"],
    ),
    "DEVICE_CREATE_IP_INVALID": (
        params.read_ip,
        ["localhost", "127.0.0", "127.1", "256.0.0.1", "01.2.3.4", "1.2.3.4:80", "fe80::1%eth0", "::g", "1.2.3.4/32"],
    ),
    "NOTIFY_URL_INVALID": (
        params.read_url,
        ["http://a/" + "x" * 504, "ftp://a/", "//a/", "a.example.com/n", "/n", "http://", "http:///n", "http://u@a/",
         "http://u:p@a/", "http://a b/", "http://a/ b", "http://a:0/", "http://a:65536/", "http://a:x/", "http://[::1/",
         "http://a\\@b/", "http://a/\n", "http://a/\u200b", "javascript:alert(1)", "file:///etc/passwd"],
    ),
    "TIMESTAMP_INVALID": (
        params.read_timestamp_ms,
        ["1460512556", "1460512556270000", "1460512556270000000", "x", "-1", "1.5e12", "1460512556270.0",
         "9" * 20, "2016-04-13 10:00:00"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("reader", "text", "value"), GOOD)
def test_the_last_good_value_is_accepted(reader: object, text: str, value: object) -> None:
    assert callable(reader)

    assert reader(text) == value


@pytest.mark.parametrize(
    ("name", "reader", "text"), [(name, reader, text) for name, (reader, texts) in BAD.items() for text in texts]
)
def test_the_first_bad_value_is_refused_by_its_own_number(name: str, reader: object, text: str) -> None:
    assert refusal_of(reader, text) == name


@pytest.mark.parametrize(
    ("text", "unit"), [("1460512556", "秒"), ("1460512556270000", "微秒"), ("1460512556270000000", "纳秒")]
)
def test_a_timestamp_in_the_wrong_unit_is_told_so(text: str, unit: str) -> None:
    with pytest.raises(GatewayError) as raised:
        params.read_timestamp_ms(text)

    assert f"收到的是{unit}" in raised.value.message


@pytest.mark.parametrize(("number", "title"), [("3", "百度钱包"), ("4", "翼支付")])
def test_the_known_wallets_that_are_not_available_are_named(number: str, title: str) -> None:
    with pytest.raises(GatewayError) as raised:
        params.read_channel(number)

    assert title in raised.value.message


@pytest.mark.parametrize(
    ("form", "version"),
    [({}, "1.0"), ({"version": ""}, "1.0"), ({"version": " "}, "1.0"), ({"version": "1.0"}, "1.0"),
     ({"version": "1.1"}, "1.1")],
)  # fmt: skip
def test_a_missing_version_is_1_0(form: dict[str, str], version: str) -> None:
    assert params.read_version(form) == version


@pytest.mark.parametrize(
    ("version", "name"),
    [("1", "VERSION_UNSUPPORTED"), ("1.2", "VERSION_UNSUPPORTED"), ("v1.0", "VERSION_UNSUPPORTED"),
     ("2.0", "OTHER_GENERATION")],
)  # fmt: skip
def test_no_other_version_is_spoken(version: str, name: str) -> None:
    assert refusal_of(lambda text: params.read_version({"version": text}), version) == name


def test_an_empty_optional_parameter_is_absent_and_an_empty_required_one_missing() -> None:
    optional = params.Param(
        name="subject", type=params.STRING, is_required=False, is_signed=True, text_zh="", text_en="",
        read=params.read_subject,
    )  # fmt: skip
    required = params.Param(name="amount", type=params.LONG, is_required=True, is_signed=True, text_zh="", text_en="")

    assert params.read_values({"subject": "  ", "amount": "1"}, (optional, required)) == {"amount": "1"}
    with pytest.raises(GatewayError) as raised:
        params.read_values({"subject": "x", "amount": "  "}, (optional, required))
    assert raised.value.name == "PARAMETER_MISSING"
    assert "amount" in raised.value.message
