"""The signature debugger: every known mistake is found by its own golden request, and the right one is never blamed."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from opentill.commands.registry import load_commands
from opentill.protocol import diagnosis, signing
from opentill.protocol.diagnosis import CURRENT, EXPIRED, OLD, OTHER_APP, KnownKey, Question, Reason, diagnose
from opentill.protocol.recipes import Cause

KEY = "thisistestkey"
KEYS = (KnownKey(KEY, CURRENT, "zyptestapp"),)
SCAN = load_commands()["open.pay.scan"].signed
FORM = {
    "command": "open.pay.scan",
    "version": "1.0",
    "app": "zyptestapp",
    "operator_id": "axgdfdafd34124",
    "timestamp": "1460512556270",
    "local_order_no": "L 1+1",
    "channel": "1",
    "amount": "120",
    "subject": "一杯 咖啡&茶/水",
    "goods_list": '[{"goods_name":"茶/水","sell_amount":"1","goods_price":"1.20"}]',
    "device_create_ip": "",
    "notify_url": "https://shop.example/n?a=1",
    "remark": "三号桌",
}
SIGNED = {name: value for name, value in FORM.items() if name in SCAN and value}

Change = Callable[[dict[str, str]], dict[str, str]]


def joined(values: dict[str, str]) -> str:
    """protocol 2, once more by hand: nothing here uses the code under test."""
    return "&".join(f"{name}={value}" for name, value in sorted(values.items()))


def md5(text: str, encoding: str = "utf-8") -> str:
    return hashlib.md5(text.encode(encoding)).hexdigest()


def keyed(values: dict[str, str]) -> str:
    return f"{joined(values)}&key={KEY}"


def mapped(change: Callable[[str], str]) -> dict[str, str]:
    return {name: change(value) for name, value in SIGNED.items()}


def camel(name: str) -> str:
    return "".join(part.capitalize() if at else part for at, part in enumerate(name.split("_")))


def asked(sign: str, *, form: dict[str, str] | None = None, **more: object) -> Question:
    values = {"form": {**(form or FORM), "sign": sign}, "documented": SCAN, "keys": KEYS, **more}
    return Question(**values)  # type: ignore[arg-type]


# What the client hashed, and what it is told.
MISTAKES: list[tuple[Cause, str, str]] = [
    (Cause.EMPTY_SIGNED, md5(keyed({**SIGNED, "device_create_ip": ""})), "device_create_ip"),
    (
        Cause.EMPTY_SIGNED,
        md5(keyed({**SIGNED, "device_create_ip": "", "un_discount_amount": ""})),
        "device_create_ip, un_discount_amount",
    ),
    (Cause.NULL_SIGNED, md5(keyed({**SIGNED, "device_create_ip": "null"})), "device_create_ip"),
    (
        Cause.FIELD_LEFT_OUT,
        md5(keyed({name: SIGNED[name] for name in SIGNED if name != "goods_list"})),
        "goods_list",
    ),
    (Cause.FIELD_TOO_MANY, md5(keyed({**SIGNED, "command": FORM["command"]})), "command"),
    (Cause.FIELD_TOO_MANY, md5(keyed({**SIGNED, "notify_url": FORM["notify_url"]})), "notify_url"),
    (
        Cause.FIELD_TOO_MANY,
        md5(keyed({name: value for name, value in FORM.items() if value})),
        "command, version, notify_url, remark",
    ),
    (Cause.GBK, md5(keyed(SIGNED), "gbk"), ""),
    (Cause.MOJIBAKE, md5(keyed(mapped(lambda value: value.encode().decode("latin-1")))), ""),
    (Cause.URL_ENCODED, md5(keyed(mapped(quote_plus))), ""),
    (Cause.URL_ENCODED, md5(keyed(mapped(lambda value: quote(value, safe="")))), ""),
    (Cause.URL_ENCODED, md5(keyed(mapped(lambda value: quote(value, safe="-_.!~*'()")))), ""),
    (Cause.PLUS_AS_SPACE, md5(keyed(mapped(lambda value: value.replace(" ", "+")))), ""),
    (Cause.SPACES, md5(keyed({**SIGNED, "subject": FORM["subject"] + " "})), "subject"),
    (Cause.SPACES, md5(keyed(mapped(lambda value: value.replace(" ", "")))), ""),
    (Cause.SPACES, md5(f"{joined(SIGNED)}\n&key={KEY}"), "timestamp"),
    (Cause.KEY_SPACES, md5(keyed(SIGNED) + "\n"), ""),
    (Cause.FLOAT_AMOUNT, md5(keyed({**SIGNED, "amount": "120.0"})), "amount"),
    (Cause.FLOAT_AMOUNT, md5(keyed({**SIGNED, "amount": "120.00"})), "amount"),
    (Cause.YUAN_AMOUNT, md5(keyed({**SIGNED, "amount": "1.20"})), "amount"),
    (Cause.YUAN_AMOUNT, md5(keyed({**SIGNED, "amount": "1.2"})), "amount"),
    (Cause.SECONDS, md5(keyed({**SIGNED, "timestamp": "1460512556"})), "timestamp"),
    (
        Cause.JSON_REWRITTEN,
        md5(keyed({**SIGNED, "goods_list": json.dumps(json.loads(FORM["goods_list"]), ensure_ascii=False)})),
        "goods_list",
    ),
    (
        Cause.JSON_REWRITTEN,
        md5(keyed({**SIGNED, "goods_list": FORM["goods_list"].replace("/", r"\/")})),
        "goods_list",
    ),
    (Cause.HTML_ESCAPED, md5(keyed({**SIGNED, "subject": FORM["subject"].replace("&", "&amp;")})), "subject"),
    (
        Cause.UNSORTED,
        md5("&".join(f"{name}={value}" for name, value in SIGNED.items()) + f"&key={KEY}"),
        "sent",
    ),
    (
        Cause.UNSORTED,
        md5("&".join(f"{name}={value}" for name, value in sorted(SIGNED.items(), reverse=True)) + f"&key={KEY}"),
        "reverse",
    ),
    (Cause.NAME_CASE, md5(keyed({camel(name): value for name, value in SIGNED.items()})), "camelCase"),
    (Cause.UPPER_TEXT, md5(joined(SIGNED).upper() + f"&key={KEY}"), ""),
    (Cause.VALUES_ONLY, md5("".join(value for _, value in sorted(SIGNED.items())) + f"&key={KEY}"), ""),
    (
        Cause.NO_SEPARATORS,
        md5("".join(f"{name}={value}" for name, value in sorted(SIGNED.items())) + f"&key={KEY}"),
        "",
    ),
    (Cause.KEY_JOINED, md5(joined(SIGNED) + KEY), "…KEY"),
    (Cause.KEY_JOINED, md5(f"{joined(SIGNED)}&{KEY}"), "…&KEY"),
    (Cause.KEY_JOINED, md5(f"{KEY}{joined(SIGNED)}"), "KEY…"),
    (Cause.KEY_SORTED, md5(joined({**SIGNED, "key": KEY})), ""),
    (Cause.NO_KEY, md5(joined(SIGNED)), ""),
    (Cause.KEY_SPACES, md5(keyed(SIGNED) + " "), ""),
    (Cause.KEY_CASE, md5(f"{joined(SIGNED)}&key={KEY.upper()}"), ""),
    (Cause.DIGEST, hmac.new(KEY.encode(), keyed(SIGNED).encode(), "sha256").hexdigest(), "HMAC-SHA256"),
    (Cause.DIGEST, hmac.new(KEY.encode(), joined(SIGNED).encode(), "md5").hexdigest(), "HMAC-MD5"),
    (Cause.DIGEST, hashlib.sha256(keyed(SIGNED).encode()).hexdigest(), "SHA-256"),
    (Cause.DIGEST, hashlib.sha1(keyed(SIGNED).encode()).hexdigest(), "SHA-1"),
    (Cause.SIGN_SHORT, md5(keyed(SIGNED))[8:24], ""),
    (Cause.SIGN_SHORT, md5(keyed(SIGNED))[:31], ""),
    (Cause.SIGN_BASE64, base64.b64encode(hashlib.md5(keyed(SIGNED).encode()).digest()).decode(), ""),
    (Cause.SPACES, f" {md5(keyed(SIGNED))}", "sign"),
]  # fmt: skip


@pytest.mark.parametrize(("cause", "sign", "what"), MISTAKES, ids=[f"{case[0]}-{case[2]}" for case in MISTAKES])
def test_a_known_mistake_is_found_for_certain(cause: Cause, sign: str, what: str) -> None:
    found = diagnose(asked(sign))

    assert (found.verdict, found.is_certain) == ("differs", True)
    assert [(reason.cause, reason.about.get("what", "")) for reason in found.reasons] == [(cause, what)]


@pytest.mark.parametrize(("cause", "sign", "what"), MISTAKES, ids=[f"{case[0]}-{case[2]}" for case in MISTAKES])
def test_no_key_and_no_right_signature_is_ever_told(cause: Cause, sign: str, what: str) -> None:
    told = repr(diagnose(asked(sign, form={**FORM, "key": KEY, "signString": keyed(SIGNED)})))

    assert KEY not in told
    assert KEY.upper() not in told
    assert md5(keyed(SIGNED)) not in told


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Cause.EMPTY_SIGNED, Cause.KEY_JOINED),
        (Cause.FIELD_LEFT_OUT, Cause.GBK),
    ],
)
def test_two_mistakes_at_once_are_found_too(first: Cause, second: Cause) -> None:
    signs = {
        Cause.EMPTY_SIGNED: md5(joined({**SIGNED, "device_create_ip": ""}) + KEY),
        Cause.FIELD_LEFT_OUT: md5(keyed({name: SIGNED[name] for name in SIGNED if name != "channel"}), "gbk"),
    }

    found = diagnose(asked(signs[first]))

    assert found.is_certain
    assert {reason.cause for reason in found.reasons} == {first, second}


def test_a_value_that_is_encoded_twice_on_its_way_is_recognised() -> None:
    sent = {**FORM, "subject": quote(FORM["subject"])}

    found = diagnose(asked(md5(keyed(SIGNED)), form=sent))

    assert [reason.cause for reason in found.reasons] == [Cause.ENCODED_TWICE]


def test_a_float_that_is_sent_but_not_signed_is_recognised() -> None:
    found = diagnose(asked(md5(keyed(SIGNED)), form={**FORM, "amount": "120.0"}))

    assert found.reasons == (Reason(Cause.FLOAT_AMOUNT, {"what": "amount", "value": "120"}),)


@pytest.mark.parametrize(
    ("owner", "cause", "what"),
    [(EXPIRED, Cause.OLD_KEY, ""), (OTHER_APP, Cause.OTHER_APP_KEY, "A2")],
)
def test_another_key_the_reader_may_use_is_named_by_its_owner(owner: str, cause: Cause, what: str) -> None:
    keys = (*KEYS, KnownKey("another-key", owner, "A2"))

    found = diagnose(asked(md5(f"{joined(SIGNED)}&key=another-key"), keys=keys))

    assert found.is_certain
    assert [(reason.cause, reason.about.get("what", "")) for reason in found.reasons] == [(cause, what)]
    assert found.difference is None


def test_the_old_key_still_matches_while_it_is_accepted() -> None:
    keys = (*KEYS, KnownKey("another-key", OLD, "zyptestapp"))

    found = diagnose(asked(md5(f"{joined(SIGNED)}&key=another-key"), keys=keys))

    assert (found.verdict, found.matched_owner) == ("matches", OLD)


def test_a_key_nobody_here_knows_is_only_a_guess() -> None:
    found = diagnose(asked(md5(f"{joined(SIGNED)}&key=somebody-elses")))

    assert (found.verdict, found.is_certain) == ("differs", False)
    assert [reason.cause for reason in found.reasons] == [Cause.WRONG_KEY]


def test_with_the_developers_own_text_another_key_is_certain() -> None:
    theirs = f"{joined(SIGNED)}&key=somebody-elses"

    found = diagnose(asked(md5(theirs), their_text=theirs))

    assert found.is_certain
    assert [reason.cause for reason in found.reasons] == [Cause.WRONG_KEY]
    assert "somebody-elses" not in repr(found)


def test_without_a_key_the_developers_own_text_is_enough() -> None:
    theirs = joined({**SIGNED, "device_create_ip": ""})

    found = diagnose(asked("0" * 32, keys=(), their_text=theirs))

    assert (found.verdict, found.is_certain) == ("undecided", True)
    assert [reason.cause for reason in found.reasons] == [Cause.EMPTY_SIGNED]


def test_the_first_differing_byte_is_shown_with_its_character() -> None:
    theirs = joined(SIGNED).replace("咖啡", "咖非")

    found = diagnose(asked("0" * 32, their_text=theirs))

    at = theirs.encode().index("非".encode())
    assert found.difference is not None
    # 啡 is e5 95 a1, 非 is e9 9d 9e
    assert (found.difference.offset, found.difference.our_hex, found.difference.their_hex) == (at, "e5", "e9")
    assert (found.difference.our_character, found.difference.their_character) == ("啡", "非")


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("a=1", "a=12", (3, "", "", "32", "2")),
        ("a=1", "", (0, "61", "a", "", "")),
        # 茶 is e8 8c b6, 茷 is e8 8c b7: the third byte differs, the whole character is shown
        ("茶", "茷", (2, "b6", "茶", "b7", "茷")),
    ],
)
def test_two_texts_are_compared_byte_by_byte(ours: str, theirs: str, expected: tuple[object, ...]) -> None:
    found = diagnosis.compare(ours, theirs)

    assert found is not None
    assert (
        found.offset, found.our_hex, found.our_character, found.their_hex, found.their_character
    ) == expected  # fmt: skip


def test_the_same_text_does_not_differ() -> None:
    assert diagnosis.compare("a=茶", "a=茶") is None


def test_what_is_not_signed_is_listed_with_the_reason() -> None:
    found = diagnose(asked(md5(keyed(SIGNED))))

    assert found.verdict == "matches"
    assert dict(found.left_out) == {
        "command": "unsigned", "version": "unsigned", "notify_url": "unsigned", "remark": "unsigned",
        "device_create_ip": "empty",
    }  # fmt: skip


def test_without_a_signature_only_the_text_is_shown() -> None:
    found = diagnose(asked(""))

    assert found.verdict == "no_sign"
    assert found.our_text == f"{joined(SIGNED)}&key=***"


# --- strict apps

EVERYTHING = {name: value for name, value in FORM.items() if value}


@pytest.mark.parametrize(
    ("sign", "cause", "what"),
    [
        (md5(keyed(SIGNED)), Cause.DIGEST, "MD5"),
        (
            hmac.new(
                KEY.encode(), joined({n: v for n, v in EVERYTHING.items() if n != "command"}).encode(), "sha256"
            ).hexdigest(),
            Cause.FIELD_LEFT_OUT,
            "command",
        ),
        (
            hmac.new(KEY.encode(), joined({**EVERYTHING, "version": "1.1"}).encode(), "sha256").hexdigest(),
            Cause.OTHER_VERSION,
            "version",
        ),
        (
            hmac.new(KEY.encode(), joined({**EVERYTHING, "command": "caibao.pay.scan"}).encode(), "sha256").hexdigest(),
            Cause.OLD_COMMAND,
            "command",
        ),
        (
            hmac.new(KEY.encode(), f"{joined(EVERYTHING)}&key={KEY}".encode(), "sha256").hexdigest(),
            Cause.KEY_JOINED,
            "…&key=KEY",
        ),
    ],
)
def test_a_mistake_of_a_strict_app_is_found(sign: str, cause: Cause, what: str) -> None:
    found = diagnose(asked(sign, method="HMAC-SHA256"))

    assert found.is_certain
    assert [(reason.cause, reason.about["what"]) for reason in found.reasons] == [(cause, what)]


@pytest.fixture(scope="module")
def own_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def rsa_sign(key: rsa.RSAPrivateKey, text: str, algorithm: hashes.HashAlgorithm) -> str:
    return base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), algorithm)).decode()


def test_an_rsa2_mistake_is_found_with_the_public_key(own_key: rsa.RSAPrivateKey) -> None:
    text = joined(EVERYTHING)
    signs = {
        rsa_sign(own_key, text, hashes.SHA256()): None,
        rsa_sign(own_key, text, hashes.SHA1()): Cause.DIGEST,
        rsa_sign(own_key, joined({**EVERYTHING, "device_create_ip": ""}), hashes.SHA256()): Cause.EMPTY_SIGNED,
        rsa_sign(own_key, joined(SIGNED), hashes.SHA256()): Cause.WRONG_KEY,
        md5(keyed(SIGNED)): Cause.DIGEST,
    }

    for sign, cause in signs.items():
        found = diagnose(asked(sign, method="RSA2", keys=(), public_key=own_key.public_key()))

        assert (found.verdict == "matches") is (cause is None)
        assert cause is None or found.reasons[0].cause is cause


def test_an_rsa2_signature_whose_plus_became_a_space_is_recognised(own_key: rsa.RSAPrivateKey) -> None:
    forms = ({**EVERYTHING, "remark": str(n)} for n in range(100))
    signed = ((form, rsa_sign(own_key, joined(form), hashes.SHA256())) for form in forms)
    form, sign = next((form, sign) for form, sign in signed if "+" in sign)

    found = diagnose(asked(sign.replace("+", " "), form=form, method="RSA2", keys=(), public_key=own_key.public_key()))

    assert [reason.cause for reason in found.reasons] == [Cause.SIGN_PLUS]


# --- never a false alarm

names = st.sampled_from([*sorted(SCAN), "remark", "extra", "version", "notify_url", "key"])
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=24)


@settings(max_examples=150, deadline=None)
@given(
    values=st.dictionaries(names, texts),
    key=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40),
    is_upper=st.booleans(),
    signs_all=st.booleans(),
)
def test_a_correctly_signed_form_always_matches(
    values: dict[str, str], key: str, is_upper: bool, signs_all: bool
) -> None:
    form = {"command": "open.pay.scan", **values}
    received = {name: value for name, value in form.items() if name not in signing.NEVER_SIGNED}
    signed = received if signs_all else {name: value for name, value in form.items() if name in SCAN}
    sign = signing.md5_sign(signed, key)
    form["sign"] = sign.upper() if is_upper else sign

    found = diagnose(Question(form=form, documented=SCAN, keys=(KnownKey(key, CURRENT, "A1"),)))

    assert found.verdict == "matches"
    assert signing.matches_md5(form, signed=SCAN, key=key, sign=form["sign"])


@settings(max_examples=30, deadline=None)
@given(values=st.dictionaries(names, texts), sign=st.text(max_size=70), text=st.text(max_size=200))
def test_whatever_is_asked_the_debugger_agrees_with_the_gateway(values: dict[str, str], sign: str, text: str) -> None:
    form = {**values, "sign": sign}

    found = diagnose(Question(form=form, documented=SCAN, keys=KEYS, their_text=text))

    assert (found.verdict == "matches") is (
        bool(sign.strip()) and signing.matches_md5(form, signed=SCAN, key=KEY, sign=sign)
    )
