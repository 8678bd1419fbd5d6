"""The sandbox's own till: a random PIN made at the first start, kept in the data folder, and a fresh code each time."""

import stat
from pathlib import Path

from opentill.cli.sandbox_till import PIN_FILE, ensure_test_till
from opentill.services import shifts
from tests.clients import TEST_OPERATOR
from tests.web.cashier.kit import ACTOR, Store
from tests.world import world


async def test_the_first_start_draws_a_pin_that_only_this_user_can_read(tmp_path: Path) -> None:
    async with world() as w:
        hint = await ensure_test_till(w.deployment, tmp_path)

        path = tmp_path / PIN_FILE
        assert path.read_text() == f"{hint.pin}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(hint.pin) == 4


async def test_the_code_and_the_pin_lead_to_a_paid_sale_that_may_be_refunded(tmp_path: Path) -> None:
    async with world() as w:
        hint = await ensure_test_till(w.deployment, tmp_path)
        s = Store(w)
        till = s.browser()

        await till.pair(hint.pairing_code)
        await till.sign_in(hint.pin)
        sale = await till.sell("100")
        await w.pay(sale.qr_text)

        seen = await till.see(sale.number)
        assert seen.status == "paid"
        assert "最多可退" in seen.words
        await till.http.close()


async def test_a_later_start_keeps_pin_and_device_and_offers_a_new_code(tmp_path: Path) -> None:
    async with world() as w:
        first = await ensure_test_till(w.deployment, tmp_path)

        second = await ensure_test_till(w.deployment, tmp_path)

        assert second.pin == first.pin
        assert second.pairing_code != first.pairing_code
        assert await w.number("SELECT count(*) FROM devices") == 1


async def test_a_pin_that_was_changed_since_is_not_hinted_at(tmp_path: Path) -> None:
    async with world() as w:
        await ensure_test_till(w.deployment, tmp_path)
        await shifts.set_pin(w.deployment, TEST_OPERATOR, "97531", actor=ACTOR)

        assert (await ensure_test_till(w.deployment, tmp_path)).pin == ""
