"""Puts the till's routes together."""

from starlette.routing import BaseRoute

from opentill.services.deployment import Deployment
from opentill.web.cashier import sale, screens
from opentill.web.cashier.door import Door


def routes(deployment: Deployment) -> list[BaseRoute]:
    """Everything below `/cashier/`."""
    door = Door(deployment)
    return [*screens.routes(door), *sale.routes(door)]
