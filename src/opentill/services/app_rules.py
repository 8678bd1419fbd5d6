"""What an integrator's id and rules may be, beyond what their types say."""

from ipaddress import ip_network

from opentill.base.errors import GatewayError
from opentill.domain.parties import AppRules, is_internal_app
from opentill.protocol.params import read_url
from opentill.protocol.signing import read_public_key
from opentill.protocol.words import COMMAND_PREFIX
from opentill.services.not_possible import NotPossible


def check_not_internal(app: str) -> None:
    """Raises NotPossible."""
    if is_internal_app(app):
        raise NotPossible("app_internal", key=app)


def check_rules(rules: AppRules) -> None:
    """What the types can't say. Raises NotPossible."""
    try:
        if rules.public_key_pem or rules.sign_method == "RSA2":
            read_public_key(rules.public_key_pem)
    except ValueError as error:
        raise NotPossible("rule_public_key") from error
    try:
        for network in rules.refund_sources:
            ip_network(network, strict=False)
    except ValueError as error:
        raise NotPossible("rule_sources", problem=error) from error
    try:
        if rules.default_notify_url:
            read_url(rules.default_notify_url)
    except GatewayError as error:
        raise NotPossible("rule_notify_url") from error
    for command in rules.commands:
        if not command.startswith(COMMAND_PREFIX):
            raise NotPossible("rule_command", key=command, prefix=COMMAND_PREFIX)
