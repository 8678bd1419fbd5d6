"""How a till writes amounts and times: like the console, and the hour alone."""

from opentill.base.money import yuan_text
from opentill.web.console import formats

FILTERS = {
    **formats.FILTERS,
    "plain_yuan": yuan_text,
    "clock_time": lambda at_ms: formats.second_time(at_ms)[11:16],
}
