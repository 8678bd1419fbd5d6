"""What has served its time is thrown away."""

from opentill.worker.housekeeping import EVERY_MS
from tests.databases import on_both_engines
from tests.orders import ask, paid
from tests.world import world

DAY_S = 86_400
BINDINGS = "SELECT count(*) AS n FROM sign_bindings"


@on_both_engines
async def test_a_signature_binding_is_kept_while_it_can_be_replayed_and_no_longer(engine: str) -> None:
    async with world(engine) as w:
        order_no = await paid(w)
        await ask(w, "query", order_no=order_no)
        bound = await w.number(BINDINGS)

        await w.advance(EVERY_MS / 1000)  # shorter than twice the tolerance
        kept = await w.number(BINDINGS)
        await w.advance(DAY_S)

        assert (bound, kept) == (1, 1)
        assert await w.number(BINDINGS) == 0
