"""`/console/`: leads to the first page of the navigation that the visitor may see."""

from starlette.responses import Response

from opentill.services.deployment import Deployment
from opentill.web.console.door import ConsolePage, Visit


def pages(_: Deployment) -> list[ConsolePage]:
    return [ConsolePage("/", _home, None)]


async def _home(visit: Visit) -> Response:
    for group in visit.nav():
        return visit.redirect(group.items[0].path)
    return visit.render("console/home.html")
