"""Who may call: signatures, timestamps, apps and cashiers, over real HTTP (protocol 2, 7, 8)."""

import base64
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from opentill.domain.parties import AppRules
from tests.clients import Reply, Till, hmac_sha256, is_signed, md5, string_to_sign
from tests.world import MERCHANT_ID, STORE_ID, World, world

TOLERANCE_MS = 600_000


async def asked(till: Till, form: Mapping[str, str], **changes: str | None) -> Reply:
    """The form with some parameters changed after it was signed."""
    changed = {**form, **changes}
    return await till.post({name: value for name, value in changed.items() if value is not None})


async def test_every_signed_parameter_is_protected() -> None:
    async with world() as w:
        full = w.till.scan_params(
            amount=100, un_discount_amount=10, subject="茶", device_create_ip="203.0.113.7",
            goods_list='[{"goods_name": "茶", "sell_amount": "1", "goods_price": "1"}]',
        )  # fmt: skip
        form = w.till.form("open.pay.scan", **full)
        others = {
            "amount": "101", "channel": "2", "local_order_no": "another", "un_discount_amount": "11", "subject": "咖啡",
            "device_create_ip": "203.0.113.8", "goods_list": "[]", "timestamp": str(w.clock.now_ms() + 1),
            "operator_id": "another",
        }  # fmt: skip

        codes = {name: (await asked(w.till, form, **{name: value})).code for name, value in others.items()}
        dropped = {name: (await asked(w.till, form, **{name: None})).code for name in full}

        assert codes == dict.fromkeys(others, "22")
        assert dropped == dict.fromkeys(full, "22")
        assert await w.number("SELECT count(*) FROM orders") == 0
        assert (await asked(w.till, form)).is_success


async def test_what_the_protocol_does_not_sign_may_be_added() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params())

        reply = await asked(w.till, form, version="1.1", notify_url="http://203.0.113.7/n", redirect_url="http://r")

        assert reply.is_success, reply.message


async def test_an_upper_case_signature_is_the_same_signature() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params())

        assert (await asked(w.till, form, sign=form["sign"].upper())).is_success


async def test_a_value_of_only_spaces_is_not_signed() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params())

        reply = await asked(w.till, form, subject="   ", goods_list=" ")

        assert reply.is_success, reply.message


async def test_a_client_that_signs_everything_it_sends_is_understood() -> None:
    async with world() as w:
        params = {**w.till.form("open.pay.scan", **w.till.scan_params()), "remark": "三号桌"}
        never = ("sign", "command", "version", "notify_url")
        sign = md5({name: value for name, value in params.items() if name not in never}, w.till.key)

        reply = await asked(w.till, params, sign=sign, notify_url="http://203.0.113.7/n", version="1.0", key="k")

        assert reply.is_success, reply.message


@pytest.mark.parametrize("extra", ["command", "version", "notify_url"])
async def test_a_client_that_signs_what_is_never_signed_is_refused(extra: str) -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params(version="1.0", notify_url="http://203.0.113.7/n"))
        signed = {
            name: value for name, value in form.items() if name not in ("sign", "command", "version", "notify_url")
        }

        reply = await asked(w.till, form, sign=md5({**signed, extra: form[extra]}, w.till.key))

        assert reply.code == "22"


async def test_a_refused_signature_says_what_to_sign_but_not_with_what() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params(subject="茶"))

        reply = await asked(w.till, form, sign="0" * 32)

        assert "amount、app、channel、local_order_no、operator_id、subject、timestamp" in reply.message
        assert w.till.key not in reply.message
        assert form["sign"] not in reply.message


async def test_a_timestamp_is_good_for_ten_minutes_either_way() -> None:
    async with world() as w:
        expected = {
            0: "0", TOLERANCE_MS: "0", -TOLERANCE_MS: "0", TOLERANCE_MS + 1: "24", -TOLERANCE_MS - 1: "24",
        }  # fmt: skip

        codes = {off_ms: (await w.scan(timestamp=w.clock.now_ms() + off_ms)).code for off_ms in expected}

        assert codes == expected


async def test_a_timestamp_in_another_unit_is_told_so() -> None:
    units = {
        "1795406400": "秒", "1795406400000000": "微秒", "1795406400000000000": "纳秒", "noon": "13位",
        "1795406400000.5": "13位",
    }  # fmt: skip
    async with world() as w:
        for timestamp, words in units.items():
            reply = await w.scan(timestamp=timestamp)

            assert (reply.code, words in reply.message) == ("23", True), timestamp


async def test_tolerance_0_turns_the_check_off() -> None:
    async with world() as w:
        till = await w.add_till(rules=AppRules(tolerance_ms=0))

        replies = [await till.scan(timestamp=text) for text in ("1795406400", "1", "constant", "1460512556270")]

        assert [reply.code for reply in replies] == ["0"] * 4


async def test_a_tolerance_of_one_second_is_exact() -> None:
    async with world() as w:
        till = await w.add_till(rules=AppRules(tolerance_ms=1_000))

        codes = [(await till.scan(timestamp=w.clock.now_ms() - off)).code for off in (1_000, 1_001)]

        assert codes == ["0", "24"]


async def test_a_stranger_with_the_real_time_keeps_working_when_the_clock_was_moved() -> None:
    async with world() as w:
        real_ms = w.clock.now_ms()
        await w.advance(3 * 3600)

        codes = [(await w.scan(timestamp=at_ms)).code for at_ms in (real_ms, w.clock.now_ms(), real_ms + 4_000_000)]

        assert codes == ["0", "0", "24"]


async def test_unknown_and_disabled_parties_are_refused_each_by_its_number() -> None:
    async with world() as w:
        till = await w.add_till()
        stranger = Till(w.http, w.base_url, w.clock.now_ms, app="A00000000000000", key=w.till.key)
        other_merchant, other_store = await w.administration.add_merchant("another")
        other_operator = await w.administration.add_operator(
            "other", merchant_id=other_merchant, store_id=other_store, account_ids=[]
        )
        fired = await w.administration.add_operator("fired", merchant_id=MERCHANT_ID, store_id=STORE_ID, account_ids=[])
        await w.administration.set_disabled("operator", fired, is_disabled=True)

        codes = {
            "app unknown": (await stranger.scan()).code,
            "another app's key": (await till.scan(app=w.till.app)).code,
            "operator unknown": (await till.scan(operator_id="nobody")).code,
            "operator of another merchant": (await till.scan(operator_id=other_operator)).code,
            "operator disabled": (await till.scan(operator_id=fired)).code,
        }
        await w.administration.set_disabled("app", till.app, is_disabled=True)
        w.deployment.parties.forget()
        codes["app disabled"] = (await till.scan()).code

        assert codes == {
            "app unknown": "20", "another app's key": "22", "operator unknown": "25",
            "operator of another merchant": "25", "operator disabled": "26", "app disabled": "21",
        }  # fmt: skip
        assert await w.number("SELECT count(*) FROM orders") == 0


async def test_a_disabled_merchants_cashiers_are_refused_and_an_enabled_ones_are_not() -> None:
    async with world() as w:
        await w.administration.set_disabled("merchant", MERCHANT_ID, is_disabled=True)
        w.deployment.parties.forget()
        refused = await w.scan()
        await w.administration.set_disabled("merchant", MERCHANT_ID, is_disabled=False)
        w.deployment.parties.forget()

        assert (refused.code, (await w.scan()).code) == ("26", "0")


async def test_a_change_is_felt_within_two_seconds() -> None:
    async with world() as w:
        assert (await w.scan()).is_success
        await w.administration.set_disabled("app", w.till.app, is_disabled=True)

        await w.advance(1)

        assert (await w.scan()).code == "21"


async def test_the_public_test_identity_works_in_the_sandbox_only() -> None:
    async with world(is_sandbox=False) as w:
        till = await w.add_till()

        assert (await w.scan()).code == "27"
        assert (await till.scan()).is_success


async def test_a_wrong_key_is_refused_before_anything_is_said_about_the_cashier() -> None:
    async with world() as w:
        till = Till(w.http, w.base_url, w.clock.now_ms, key="0" * 32, operator_id="nobody")

        assert (await till.scan(timestamp="x")).code == "22"


async def test_after_a_rotation_both_keys_work_until_the_overlap_ends() -> None:
    async with world() as w:
        till = await w.add_till()
        old = Till(w.http, w.base_url, w.clock.now_ms, app=till.app, key=till.key)
        till.key = await w.administration.rotate_app_key(till.app, overlap_ms=3_600_000)
        w.deployment.parties.forget()
        during = [(await each.scan()).code for each in (old, till)]

        await w.advance(3600)

        assert during == ["0", "0"]
        assert [(await each.scan()).code for each in (old, till)] == ["22", "0"]


async def strict_codes(w: World, till: Till, form: Mapping[str, str]) -> dict[str, str]:
    """What becomes of a strictly signed form when anything in it is changed."""
    changes = {"amount": "2", "command": "caibao.pay.scan", "version": "1.1", "notify_url": "http://203.0.113.8/n"}
    return {name: (await asked(till, form, **{name: value})).code for name, value in changes.items()}


async def test_the_strict_method_protects_command_version_and_notify_url() -> None:
    async with world() as w:
        till = await w.add_till(rules=AppRules(sign_method="HMAC-SHA256"))
        form = till.form(
            "open.pay.scan", **till.scan_params(version="1.0", notify_url="http://203.0.113.7/n", remark="x", sign="")
        )
        everything = {name: value for name, value in form.items() if name != "sign"}
        form["sign"] = hmac_sha256(everything, till.key)

        assert await strict_codes(w, till, form) == {
            "amount": "22", "command": "22", "version": "22", "notify_url": "22",
        }  # fmt: skip
        assert (await till.post({**form, "sign": till.sign(everything)})).code == "22", "MD5 is not accepted any more"
        assert (await till.post(form)).is_success


async def test_an_app_may_sign_with_its_own_rsa_key() -> None:
    async with world() as w:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        till = await w.add_till(rules=AppRules(sign_method="RSA2", public_key_pem=pem))
        form = till.form("open.pay.scan", **till.scan_params(version="1.0", notify_url="http://203.0.113.7/n", sign=""))
        everything = {name: value for name, value in form.items() if name != "sign"}
        signature = key.sign(string_to_sign(everything).encode(), padding.PKCS1v15(), hashes.SHA256())
        form["sign"] = base64.b64encode(signature).decode()

        assert set((await strict_codes(w, till, form)).values()) == {"22"}
        assert (await till.post({**form, "sign": till.sign(everything)})).code == "22"
        assert (await till.post(form)).is_success


async def test_an_app_may_be_kept_to_some_interfaces() -> None:
    async with world() as w:
        till = await w.add_till(rules=AppRules(commands=("open.pay.query",)))

        reply = await till.scan()

        assert reply.code == "28"
        assert "open.pay.scan" in reply.message


async def test_notifications_may_be_kept_to_some_hosts() -> None:
    async with world() as w:
        till = await w.add_till(rules=AppRules(notify_hosts=("pay.example.com",)))
        urls = {
            "http://pay.example.com/n": "0", "https://PAY.example.com:8443/": "0", "http://example.com/": "48",
            "http://pay.example.com.evil.example/": "48", "http://evil.example/?pay.example.com": "48",
        }  # fmt: skip

        codes = {url: (await till.scan(notify_url=url)).code for url in urls}

        assert codes == urls
        assert (await till.scan()).is_success


async def test_a_successful_reply_is_signed_with_the_published_key() -> None:
    async with world() as w:
        data = (await w.scan(amount=100)).data
        signed = {name: data[name] for name in ("qrCode", "localOrderNo", "cbOrderNo", "totalAmount", "paymentChannel",
                                                "timestamp")}  # fmt: skip

        assert is_signed(signed, data["sign"], w.public_key)
        for name in signed:
            assert not is_signed({**signed, name: signed[name] + "0"}, data["sign"], w.public_key)
            assert not is_signed({**signed, name: ""}, data["sign"], w.public_key)


async def test_who_still_signs_with_the_old_key_is_noted_once_a_minute() -> None:
    async with world() as w:
        key = await w.administration.rotate_app_key(w.till.app, overlap_ms=3_600_000)
        w.deployment.parties.forget()
        renewed = Till(w.http, w.base_url, w.clock.now_ms, key=key)

        async def noted() -> tuple[int, str]:
            [row] = await w.rows("SELECT old_key_used_at_ms, old_key_used_by FROM apps WHERE app = $1", w.till.app)
            return row["old_key_used_at_ms"], row["old_key_used_by"]

        assert (await renewed.scan()).is_success
        assert await noted() == (0, "")
        first_ms = w.clock.now_ms()
        assert (await w.till.scan()).is_success
        assert await noted() == (first_ms, "测试收银员 · 127.0.0.1")
        w.clock.advance(59_999)
        await w.till.scan()
        assert (await noted())[0] == first_ms
        w.clock.advance(1)
        await w.till.scan()
        assert (await noted())[0] == first_ms + 60_000


async def test_a_rotation_forgets_who_used_the_key_before() -> None:
    async with world() as w:
        await w.administration.rotate_app_key(w.till.app, overlap_ms=3_600_000)
        w.deployment.parties.forget()
        await w.till.scan()

        await w.administration.rotate_app_key(w.till.app, overlap_ms=3_600_000)

        assert await w.number("SELECT old_key_used_at_ms FROM apps WHERE app = $1", w.till.app) == 0
