"""Captured requests used for something else (protocol 8.1). Each is refused with a clear error, written down, and moves
nothing."""

import base64

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from opentill.domain.parties import AppRules
from tests.clients import Till, string_to_sign
from tests.databases import on_both_engines
from tests.orders import ALIPAY, CODES, LACKS_MONEY, PAYS, ask, audited, paid, refunded_at_wallet, scanned
from tests.world import World, ground, running, world

COMMANDS = ["query", "refund", "reverse"]
PAIRS = [(first, second) for first in COMMANDS for second in COMMANDS if first != second]


@on_both_engines
@pytest.mark.parametrize(("first", "second"), PAIRS)
async def test_a_signature_belongs_to_the_command_it_was_first_used_with(engine: str, first: str, second: str) -> None:
    async with world(engine) as w:
        order_no = await paid(w, amount=1000)
        w.clock.advance(1)
        form = w.till.form(f"open.pay.{first}", order_no=order_no)
        await w.meanwhile(w.till.post(form))
        refunded_before = await refunded_at_wallet(w, order_no)

        reply = await w.till.post({**form, "command": f"open.pay.{second}"})

        assert (reply.code, f"open.pay.{first}" in reply.message) == ("29", True)
        # A paid order can't be reversed: that was refused first.
        assert await audited(w) == (["REVERSE_PAID"] if first == "reverse" else []) + ["SIGN_REUSED"]
        assert await refunded_at_wallet(w, order_no) == refunded_before


@pytest.mark.parametrize("names", [("open", "caibao"), ("caibao", "open"), ("caibao", "caibao")])
async def test_the_older_name_is_no_way_around(names: tuple[str, str]) -> None:
    async with world() as w:
        order_no = await paid(w, amount=1000)
        form = w.till.form(f"{names[0]}.pay.query", order_no=order_no)
        await w.till.post(form)

        reply = await w.till.post({**form, "command": f"{names[1]}.pay.refund"})

        assert reply.code == "29"
        assert await refunded_at_wallet(w, order_no) == []


async def test_neither_upper_case_nor_unsigned_parameters_make_it_another_signature() -> None:
    async with world() as w:
        order_no = await paid(w, amount=1000)
        form = {**w.till.form("open.pay.query", order_no=order_no), "command": "open.pay.refund"}
        await w.till.post({**form, "command": "open.pay.query"})

        replies = [
            await w.till.post({**form, "sign": form["sign"].upper()}),
            await w.till.post({**form, "refund_amount": "1"}),
            await w.till.post({**form, "version": "1.1", "notify_url": "http://203.0.113.1/"}),
            await w.till.post_json({**form, "key": "x", "signString": "y"}),
            await w.till.get(form),
        ]

        assert [reply.code for reply in replies] == ["29"] * 5
        assert await refunded_at_wallet(w, order_no) == []


@on_both_engines
async def test_every_process_and_every_restart_knows(engine: str) -> None:
    async with ground(engine) as g:
        async with running(g) as w:
            order_no = await paid(w, amount=1000)
            form = w.till.form("open.pay.query", order_no=order_no)
            await w.till.post(form)
            form["command"] = "open.pay.refund"
            async with w.another_gateway() as other:
                elsewhere = await other.post(form)

        async with running(g) as w:
            later = await w.till.post(form)

            assert (elsewhere.code, later.code) == ("29", "29")
            assert await audited(w) == ["SIGN_REUSED"] * 2
            assert await refunded_at_wallet(w, order_no) == []


@on_both_engines
async def test_of_two_commands_at_once_on_two_processes_one_gets_the_signature(engine: str) -> None:
    async with world(engine) as w, w.another_gateway() as other:
        order = await scanned(w)
        form = w.till.form("open.pay.query", order_no=order.order_no)

        replies = [
            reply.code
            for _ in range(5)
            for reply in (
                await w.till.post({**form, "command": "open.pay.reverse"}),
                await other.post(form),
            )
        ]

        assert replies == ["0", "29"] * 5


@pytest.mark.parametrize("command", COMMANDS)
async def test_the_signature_that_opened_an_order_can_not_ask_for_its_money(command: str) -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", local_order_no="L-1", channel=1, amount=1000)
        opened = await w.till.post(form)
        await w.pay(opened.qr_code)

        # Its all-parameters reading is a valid signature for these commands too.
        reply = await w.till.post({**form, "command": f"open.pay.{command}"})

        assert reply.code == "29"
        assert await audited(w) == ["SIGN_REUSED"]
        assert await refunded_at_wallet(w, opened.order_no) == []


async def test_nor_can_the_signature_of_a_refused_duplicate() -> None:
    async with world() as w:
        order_no = await paid(w, amount=1000, local_order_no="L-1")
        w.clock.advance(1)
        form = w.till.form("open.pay.scan", local_order_no="L-1", channel=1, amount=1000)
        duplicate = await w.till.post(form)

        reply = await w.till.post({**form, "command": "open.pay.refund"})

        assert (duplicate.code, reply.code) == ("60", "29")
        assert await refunded_at_wallet(w, order_no) == []


async def test_nor_can_the_signature_of_an_earlier_try_under_the_same_number() -> None:
    async with world() as w:
        params = {"local_order_no": "L-1", "amount": 1000}
        form = w.till.form("open.pay.barcode", **params, barcode=CODES[ALIPAY] + LACKS_MONEY)
        await w.till.post(form)
        second = await ask(w, "barcode", local_order_no="L-1", amount=1000, barcode=CODES[ALIPAY] + PAYS)

        reply = await w.till.post({**form, "command": "open.pay.refund"})

        assert (second.code, reply.code) == ("0", "29")
        assert await refunded_at_wallet(w, second.order_no) == []


async def test_another_amount_under_the_same_signature_is_no_second_refund() -> None:
    async with world() as w:
        order_no = await paid(w, amount=1000)
        form = w.till.form("open.pay.refund", order_no=order_no, refund_amount=100)
        await w.meanwhile(w.till.post(form))

        reply = await w.till.post({**form, "refund_amount": "900"})

        assert reply.code == "73"
        assert await audited(w) == ["REFUND_REPEAT_DIFFERS"]
        assert await refunded_at_wallet(w, order_no) == [100]


async def test_the_same_rsa_signature_in_another_spelling_is_the_same_refund() -> None:
    async with world() as w:
        key = rsa.generate_private_key(65537, 2048)
        till = await _rsa_till(w, key)
        order_no = await paid(w, till=till, amount=1000)
        w.clock.advance(1)
        form = till.form("open.pay.refund", order_no=order_no, refund_amount=100)
        first = await w.meanwhile(till.post(form))

        # Base64 ends in idle bits: the last letter before == has three other spellings for the same bytes.
        letter = form["sign"][-3]
        spelling = form["sign"][:-3] + chr(ord(letter) + 1) + "=="
        assert base64.b64decode(spelling) == base64.b64decode(form["sign"])
        again = await w.meanwhile(till.post({**form, "sign": spelling}))

        assert again.data["cbOrderNo"] == first.order_no
        assert await refunded_at_wallet(w, order_no) == [100]


async def test_a_strict_signature_covers_the_command_itself() -> None:
    async with world() as w:
        till = await _rsa_till(w, rsa.generate_private_key(65537, 2048))
        order_no = await paid(w, till=till, amount=1000)
        form = till.form("open.pay.query", order_no=order_no)
        await till.post(form)

        reply = await till.post({**form, "command": "open.pay.refund"})

        assert reply.code == "22"
        assert await audited(w) == ["SIGN_INVALID"]
        assert await refunded_at_wallet(w, order_no) == []


async def test_a_binding_outlives_the_signature_whatever_its_timestamp() -> None:
    async with world() as w:
        await w.set_rules(w.till, tolerance_ms=0)
        order = await scanned(w)
        ahead_ms = w.clock.now_ms() + 10 * 86_400_000

        await w.till.call("open.pay.query", order_no=order.order_no, timestamp=ahead_ms)

        expires_at_ms = await w.number("SELECT max(expires_at_ms) FROM sign_bindings")
        assert expires_at_ms > ahead_ms + 86_400_000


class RsaTill(Till):
    """An integrator that signs every parameter with its own RSA key (protocol 8.3)."""

    private_key: rsa.RSAPrivateKey

    def sign(self, form: object) -> str:
        assert isinstance(form, dict)
        signature = self.private_key.sign(string_to_sign(form).encode(), padding.PKCS1v15(), hashes.SHA256())
        return base64.b64encode(signature).decode("ascii")


async def _rsa_till(w: World, key: rsa.RSAPrivateKey) -> Till:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
    made = await w.add_till(rules=AppRules(sign_method="RSA2", public_key_pem=pem))
    till = RsaTill(w.http, w.base_url, w.clock.now_ms, app=made.app, key=made.key)
    till.private_key = key
    return till
