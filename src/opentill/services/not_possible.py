"""Why a change of parties can't be made: a reason with a name, for pages in any language and for the command line."""

REASONS = {
    "merchant_unknown": "there is no merchant {key}",
    "app_unknown": "there is no app {key}",
    "operator_unknown": "there is no operator {key}",
    "account_unknown": "there is no account {key}",
    "store_unknown": "merchant {merchant} has no store {key}",
    "account_of_another": "merchant {merchant} has no account {key}",
    "app_exists": "the app {key} exists already",
    "operator_exists": "the operator {key} exists already",
    "app_internal": "{key} would be the gateway's own: it is no integrator and has no key",
    "no_number": "no free account number, try again",
    "field_unknown": "there is no field {key}; there are {known}",
    "rule_unknown": "there is no rule {key}",
    "rule_value": "{problem}",
    "rule_public_key": "public_key_pem must be the app's RSA public key in PEM",
    "rule_sources": "refund_sources: {problem}",
    "rule_notify_url": "default_notify_url must be an absolute http or https URL without a user name",
    "rule_command": "commands: {key} is not a name like {prefix}scan",
}
"""English; the pages have them in every language, under [not_possible]."""


class NotPossible(Exception):
    """What was asked for can't be done; `reason` is a key of REASONS, `values` stand in its text."""

    def __init__(self, reason: str, **values: object) -> None:
        super().__init__(REASONS[reason].format(**values))
        self.reason = reason
        self.values = values
