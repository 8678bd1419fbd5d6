"""One request in four encodings is one dict of texts (protocol 1)."""

import json

import pytest

from opentill.base.errors import GatewayError
from opentill.protocol.forms import MAX_PARAMETERS, read_form

FORM = b"application/x-www-form-urlencoded"
JSON = b"application/json"


def multipart(*parts: tuple[str, bytes], boundary: str = "xyz", end: bytes = b"--\r\n") -> tuple[bytes, bytes]:
    """Content type and body."""
    head = b"Content-Disposition: form-data; name="
    lines = [b"--" + boundary.encode() + b"\r\n" + head + f'"{name}"'.encode() + b"\r\n\r\n" + value + b"\r\n"
             for name, value in parts]  # fmt: skip
    body = b"".join([*lines, b"--" + boundary.encode() + end])
    return f"multipart/form-data; boundary={boundary}".encode(), body


SAME = {"subject": "这是一笔支付订单", "amount": "100", "remark": "a b+c&d=e%", "goods_list": ""}


@pytest.mark.parametrize(
    ("method", "query", "content_type", "body"),
    [
        (
            "POST", b"", FORM,
            b"subject=%E8%BF%99%E6%98%AF%E4%B8%80%E7%AC%94%E6%94%AF%E4%BB%98%E8%AE%A2%E5%8D%95&amount=100"
            b"&remark=a+b%2Bc%26d%3De%25&goods_list=",
        ),
        ("POST", b"", b"Application/X-WWW-Form-Urlencoded; charset=UTF-8",
         "subject=这是一笔支付订单&amount=100&remark=a b%2Bc%26d%3De%25&goods_list".encode()),
        (
            "GET",
            b"subject=%e8%bf%99%e6%98%af%e4%b8%80%e7%ac%94%e6%94%af%e4%bb%98%e8%ae%a2%e5%8d%95&amount=100"
            b"&remark=a%20b%2Bc%26d%3De%25&goods_list=",
            b"", b"",
        ),
        ("POST", b"", *multipart(*((name, value.encode()) for name, value in SAME.items()))),
        ("POST", b"", JSON, json.dumps(SAME).encode()),
        ("POST", b"", b"application/json;charset=UTF-8", json.dumps(SAME, ensure_ascii=False).encode()),
        # Without a content type, the brace tells.
        ("POST", b"", b"", b"  " + json.dumps(SAME).encode()),
        ("POST", b"", b"", b"subject=%E8%BF%99%E6%98%AF%E4%B8%80%E7%AC%94%E6%94%AF%E4%BB%98%E8%AE%A2%E5%8D%95"
                           b"&amount=100&&remark=a+b%2Bc%26d%3De%25&goods_list="),
    ],
)  # fmt: skip
def test_every_encoding_means_the_same(method: str, query: bytes, content_type: bytes, body: bytes) -> None:
    assert read_form(method, query, content_type, body) == SAME


@pytest.mark.parametrize(
    ("document", "form"),
    [
        (b'{"amount": 100}', {"amount": "100"}),
        (b'{"amount": 1.0}', {"amount": "1.0"}),
        (b'{"amount": 1.10}', {"amount": "1.10"}),
        (b'{"amount": 1E2}', {"amount": "1E2"}),
        (b'{"amount": -0}', {"amount": "-0"}),
        (b'{"timestamp": 12345678901234567890123}', {"timestamp": "12345678901234567890123"}),
        (b'{"amount": null, "app": "A"}', {"app": "A"}),
        (b'{"subject": ""}', {"subject": ""}),
        (b'{"subject": "\\u8ba2\\u5355 \\ud83c\\udf75"}', {"subject": "订单 🍵"}),
        (b"{}", {}),
        (b"", {}),
    ],
)
def test_a_json_number_keeps_its_digits_and_null_is_absent(document: bytes, form: dict[str, str]) -> None:
    assert read_form("POST", b"", JSON, document) == form


def test_a_body_parameter_wins_over_the_query() -> None:
    form = read_form("POST", b"amount=1&app=A", FORM, b"amount=2")

    assert form == {"amount": "2", "app": "A"}


@pytest.mark.parametrize(("content_type", "body"), [(JSON, b'{"amount": 7}'), (JSON, b"not json"), (FORM, b"app=B")])
def test_a_get_has_no_body(content_type: bytes, body: bytes) -> None:
    assert read_form("GET", b"amount=1", content_type, body) == {"amount": "1"}


@pytest.mark.parametrize(
    ("method", "query", "content_type", "body"),
    [
        ("GET", b"amount=1&amount=1", b"", b""),
        ("POST", b"amount=1&amount=2", FORM, b""),
        ("POST", b"", FORM, b"amount=1&amount=1"),
        ("POST", b"", FORM, b"amount=1&%61mount=2"),
        ("POST", b"", JSON, b'{"amount": 1, "amount": 1}'),
        ("POST", b"", *multipart(("amount", b"1"), ("amount", b"1"))),
    ],
)
def test_a_name_twice_in_one_place_is_refused(method: str, query: bytes, content_type: bytes, body: bytes) -> None:
    with pytest.raises(GatewayError) as raised:
        read_form(method, query, content_type, body)

    assert raised.value.name == "PARAMETER_REPEATED"
    assert "amount" in raised.value.message


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        # GBK, the usual mistake
        (FORM, "subject=订单".encode("gbk")),
        (FORM, b"subject=%B6%A9%B5%A5"),
        (FORM, b"%ff=1"),
        (JSON, '{"subject": "订单"}'.encode("gbk")),
        multipart(("subject", "订单".encode("gbk"))),
        # what no database holds
        (FORM, b"subject=a%00b"),
        (FORM, b"subject=a\0b"),
        (JSON, b'{"subject": "a\\u0000b"}'),
        (JSON, b'{"subject": "\\ud800"}'),
        (JSON, b'{"\\udfff": "a"}'),
        (FORM, b"subject=%ED%A0%80"),
        # not an object of texts and numbers
        (JSON, b'{"amount": {"fen": 1}}'),
        (JSON, b'{"goods_list": [{"goods_id": 1}]}'),
        (JSON, b'{"amount": true}'),
        (JSON, b'{"amount": NaN}'),
        (JSON, b'[["amount", "1"]]'),
        (JSON, b'"amount=1"'),
        (JSON, b"null"),
        (JSON, b'{"amount": 1'),
        (JSON, b'{"amount": 1} {"amount": 2}'),
        (JSON, b"amount=1"),
        (JSON, b"[" * 100_000),
        (JSON, b'{"a":' * 50_000),
        # broken multipart
        (b"multipart/form-data", b"--xyz--\r\n"),
        multipart(("amount", b"1"), end=b""),
        (b"multipart/form-data; boundary=other", multipart(("amount", b"1"))[1]),
        (b"multipart/form-data; boundary=xyz", b""),
        (b"multipart/form-data; boundary=xyz", b'--xyz\r\nContent-Disposition: form-data\r\n\r\n1\r\n--xyz--\r\n'),
        (b"multipart/form-data; boundary=xyz", b"--xyz\r\nContent-Type: text/plain\r\n\r\n1\r\n--xyz--\r\n"),
        (b"multipart/form-data; boundary=xyz",
         b'--xyz\r\nContent-Disposition: form-data; name="a"; filename="a.txt"\r\n\r\n1\r\n--xyz--\r\n'),
    ],
)  # fmt: skip
def test_what_cannot_be_read_for_certain_is_refused(content_type: bytes, body: bytes) -> None:
    with pytest.raises(GatewayError) as raised:
        read_form("POST", b"", content_type, body)

    assert raised.value.name == "BODY_UNREADABLE"


def test_gbk_is_named_as_the_usual_reason() -> None:
    with pytest.raises(GatewayError) as raised:
        read_form("POST", b"", FORM, "subject=订单".encode("gbk"))

    assert "GBK" in raised.value.message


def test_as_many_parameters_as_allowed_and_no_more() -> None:
    most = b"&".join(b"p%d=1" % number for number in range(MAX_PARAMETERS))

    assert len(read_form("POST", b"", FORM, most)) == MAX_PARAMETERS == 200
    with pytest.raises(GatewayError) as raised:
        read_form("POST", b"", FORM, most + b"&one_more=1")
    assert raised.value.name == "BODY_UNREADABLE"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "get"])
def test_other_methods_are_refused(method: str) -> None:
    with pytest.raises(GatewayError) as raised:
        read_form(method, b"command=open.pay.scan", b"", b"")

    assert raised.value.name == "METHOD_NOT_ALLOWED"


def test_a_long_name_is_cut_in_the_message() -> None:
    name = b"n" * 5000

    with pytest.raises(GatewayError) as raised:
        read_form("POST", b"", FORM, name + b"=1&" + name + b"=2")

    assert len(raised.value.message) < 200
