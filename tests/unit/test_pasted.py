"""What developers paste into the debugger, in every shape they have it in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentill.protocol.forms import read_form
from opentill.protocol.pasted import MAX_PASTED, Found, Trouble, read_pasted

FORM = {"command": "open.pay.scan", "amount": "1", "subject": "一杯 咖啡&茶", "notify_url": "https://s.example/n?a=1"}
QUERY = (
    "command=open.pay.scan&amount=1&subject=%E4%B8%80%E6%9D%AF+%E5%92%96%E5%95%A1%26%E8%8C%B6"
    "&notify_url=https%3A%2F%2Fs.example%2Fn%3Fa%3D1"
)
JSON = (
    '{"command": "open.pay.scan", "amount": 1, "subject": "一杯 咖啡&茶", "notify_url": "https:\\/\\/s.example/n?a=1"}'
)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ("form", QUERY),
        ("form", f"  ?{QUERY}\n"),
        ("form", QUERY.replace("&notify", "\n&notify")),
        ("url", f"https://pay.example/gatewayOpen.htm?{QUERY}"),
        ("json", JSON),
        ("json", f"\ufeff{JSON}"),
        ("lines", "command=open.pay.scan\namount=1\nsubject=一杯 咖啡&茶\nnotify_url=https://s.example/n?a=1"),
        ("lines", "command: open.pay.scan\r\namount: 1\r\nsubject: 一杯 咖啡&茶\r\nnotify_url: https://s.example/n?a=1"),
        (
            "lines",
            "'command' => 'open.pay.scan',\n'amount' => '1',\n'subject' => '一杯 咖啡&茶',\n"
            "'notify_url' => 'https://s.example/n?a=1',",
        ),
        ("lines", "command\topen.pay.scan\namount\t1\nsubject\t一杯 咖啡&茶\nnotify_url\thttps://s.example/n?a=1"),
        ("curl", f"curl https://pay.example/gatewayOpen.htm -d '{QUERY}'"),
        ("curl", f"$ curl -s -X POST 'https://pay.example/gatewayOpen.htm?{QUERY}' -H 'Accept: */*'"),
        ("curl", "curl -H 'Content-Type: application/json' --data-raw '" + JSON + "' http://127.0.0.1:8080/x"),
        (
            "curl",
            "curl http://127.0.0.1/gatewayOpen.htm \\\n  -d 'command=open.pay.scan' \\\n  --data amount=1 \\\n"
            "  --data-urlencode 'subject=一杯 咖啡&茶' -F notify_url=https://s.example/n?a=1",
        ),
        ("http", f"POST /gatewayOpen.htm HTTP/1.1\r\nHost: pay.example\r\nContent-Type: x\r\n\r\n{QUERY}"),
        ("http", f"GET /gatewayOpen.htm?{QUERY} HTTP/1.1\nHost: pay.example\n\n"),
    ],
)  # fmt: skip
def test_every_shape_means_the_same(shape: str, text: str) -> None:
    found = read_pasted(text)

    assert (found.shape, found.form, found.troubles) == (shape, FORM, ())


@pytest.mark.parametrize("text", ["", " \n", "hello", "curl", "{", "&&&", "curl 'unclosed", "https://x.example/"])
def test_a_text_that_says_nothing_is_read_without_a_fuss(text: str) -> None:
    assert not any(read_pasted(text).form.values())


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("amount=1&subject=%B2%E8", Found(Trouble.GBK, "subject")),
        ("amount=1&subject=%FF%FF", Found(Trouble.NOT_TEXT, "subject")),
        ("amount=1&amount=2", Found(Trouble.REPEATED, "amount")),
        ('{"amount": 1, "goods_list": [{"goods_price": 1.10}]}', Found(Trouble.NESTED, "goods_list")),
        ('{"amount": 1,}', Found(Trouble.NOT_JSON)),
        ("a" * (MAX_PASTED + 1), Found(Trouble.TOO_LONG)),
    ],
)
def test_what_the_gateway_would_stumble_over_is_named(text: str, trouble: Found) -> None:
    assert trouble in read_pasted(text).troubles


def test_gbk_is_shown_as_what_it_was_meant_to_be() -> None:
    assert read_pasted("subject=%B2%E8").form == {"subject": "茶"}


def test_numbers_keep_their_digits_and_null_is_absent() -> None:
    found = read_pasted('{"amount": 1.0, "timestamp": 1460512556270, "subject": null}')

    assert found.form == {"amount": "1.0", "timestamp": "1460512556270"}


def test_the_body_wins_over_the_query() -> None:
    found = read_pasted("curl 'https://pay.example/g?amount=1&channel=1' -d amount=2")

    assert (found.form, found.troubles) == ({"amount": "2", "channel": "1"}, ())


@pytest.mark.parametrize("host", ["[::1", "[x]", "a\u2100b", "a:99999999"])
@pytest.mark.parametrize(
    "text", ["http://{}/?a=1&b=2#c", "curl 'http://{}/?a=1&b=2#c'", "GET http://{}/?a=1&b=2#c HTTP/1.1"]
)
def test_the_fields_of_an_address_are_read_whatever_its_host_is(text: str, host: str) -> None:
    assert read_pasted(text.format(host)).form == {"a": "1", "b": "2"}


pairs = st.dictionaries(st.text("abc_", min_size=1, max_size=8), st.text(max_size=20), min_size=1, max_size=6)


@given(
    body=st.one_of(st.binary(max_size=200), pairs.map(lambda form: repr(form).encode())), shape=st.text(max_size=200)
)
def test_nothing_that_is_pasted_breaks_it(body: bytes, shape: str) -> None:
    for text in (shape, body.decode("latin-1"), "curl " + shape, "{" + shape):
        for name, value in read_pasted(text).form.items():
            (name + value).encode()


@given(
    form=st.dictionaries(st.text("abcAMOUNT_", min_size=1, max_size=8), st.text("a1 +%&=茶", min_size=1), min_size=1)
)
def test_a_form_is_read_as_the_gateway_reads_it(form: dict[str, str]) -> None:
    body = "&".join(f"{name}={''.join(f'%{byte:02X}' for byte in value.encode())}" for name, value in form.items())

    assert read_pasted(body).form == read_form("POST", b"", b"application/x-www-form-urlencoded", body.encode())
