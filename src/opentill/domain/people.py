"""Who may do what in the console: roles at merchants, the permissions they carry, and what one visitor has."""

from enum import StrEnum

import msgspec

EVERY_MERCHANT = 0
"""As a merchant's number: all merchants, those of tomorrow too."""


class Role(StrEnum):
    OWNER = "owner"
    FINANCE = "finance"
    MANAGER = "manager"
    CASHIER = "cashier"
    DEVELOPER = "developer"
    READER = "read-only"


class Permission(StrEnum):
    """What a page or an action asks for. What no role carries nobody may do: denied by default."""

    DASHBOARD = "dashboard"
    ORDERS_READ = "orders.read"
    ORDERS_ACT = "orders.act"
    """Ask the wallet now, close or reverse, release held money."""
    ORDERS_EXPORT = "orders.export"
    REFUND = "refund"
    NOTIFICATIONS_READ = "notifications.read"
    NOTIFICATIONS_RESEND = "notifications.resend"
    APPS_READ = "apps.read"
    APPS_MANAGE = "apps.manage"
    INTEGRATION_READ = "integration.read"
    """Refused calls, and the signature debugger with the app's key."""
    MERCHANTS_READ = "merchants.read"
    MERCHANTS_MANAGE = "merchants.manage"
    """Merchants, stores, cashiers, devices."""
    ACCOUNTS_READ = "accounts.read"
    ACCOUNTS_MANAGE = "accounts.manage"
    USERS_MANAGE = "users.manage"
    AUDIT_READ = "audit.read"


_P = Permission
PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.FINANCE: frozenset(
        {
            _P.DASHBOARD, _P.ORDERS_READ, _P.ORDERS_ACT, _P.ORDERS_EXPORT, _P.REFUND, _P.NOTIFICATIONS_READ,
            _P.MERCHANTS_READ, _P.ACCOUNTS_READ,
        }
    ),
    Role.MANAGER: frozenset(
        {
            _P.DASHBOARD, _P.ORDERS_READ, _P.ORDERS_ACT, _P.ORDERS_EXPORT, _P.REFUND, _P.NOTIFICATIONS_READ,
            _P.NOTIFICATIONS_RESEND, _P.MERCHANTS_READ, _P.MERCHANTS_MANAGE,
        }
    ),
    Role.CASHIER: frozenset({_P.ORDERS_READ}),
    Role.DEVELOPER: frozenset(
        {
            _P.DASHBOARD, _P.ORDERS_READ, _P.NOTIFICATIONS_READ, _P.NOTIFICATIONS_RESEND, _P.APPS_READ,
            _P.APPS_MANAGE, _P.INTEGRATION_READ,
        }
    ),
    Role.READER: frozenset(
        {_P.DASHBOARD, _P.ORDERS_READ, _P.NOTIFICATIONS_READ, _P.APPS_READ, _P.MERCHANTS_READ, _P.ACCOUNTS_READ}
    ),
}  # fmt: skip


class Grant(msgspec.Struct, frozen=True, order=True):
    """A role at one merchant, or at every one (`EVERY_MERCHANT`)."""

    merchant_id: int
    role: Role


class Visitor(msgspec.Struct, frozen=True):
    """A person who is signed in, and what the person was granted."""

    user_id: int
    login: str
    name: str
    grants: tuple[Grant, ...]

    def may(self, permission: Permission, merchant_id: int | None = None) -> bool:
        """Whether the permission is there: at this merchant, at every one (0), or at any (None)."""
        merchants = self.merchants(permission)
        if merchants is None:
            return True
        return bool(merchants) if merchant_id is None else merchant_id in merchants

    def merchants(self, permission: Permission) -> frozenset[int] | None:
        """Where the permission is there; None: at every merchant."""
        found = {grant.merchant_id for grant in self.grants if permission in PERMISSIONS[grant.role]}
        return None if EVERY_MERCHANT in found else frozenset(found)

    def may_manage(self, grants: tuple[Grant, ...]) -> bool:
        """Whether these grants are the visitor's to give and to take, and who has them the visitor's to manage.

        Only at merchants whose people the visitor manages; a person without any grant belongs to nobody's merchant.
        """
        places = {grant.merchant_id for grant in grants} or {EVERY_MERCHANT}
        return all(self.may(Permission.USERS_MANAGE, place) for place in places)
