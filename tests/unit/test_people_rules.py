"""Roles and what they may do, at which merchant."""

import pytest

from opentill.domain.people import EVERY_MERCHANT, PERMISSIONS, Grant, Permission, Role, Visitor

ALL = {permission.value for permission in Permission}
SEES = {"dashboard", "orders.read", "notifications.read"}

# What each role may do, once more and in words, so that a slip in the code shows.
MAY = {
    Role.OWNER: ALL,
    Role.FINANCE: SEES | {"orders.act", "orders.export", "refund", "merchants.read", "accounts.read"},
    Role.MANAGER: SEES
    | {"orders.act", "orders.export", "refund", "notifications.resend", "merchants.read", "merchants.manage"},
    Role.CASHIER: {"orders.read"},
    Role.DEVELOPER: SEES | {"notifications.resend", "apps.read", "apps.manage", "integration.read"},
    Role.READER: SEES | {"apps.read", "merchants.read", "accounts.read"},
}


def visitor(*grants: tuple[int, Role]) -> Visitor:
    return Visitor(1, "x", "X", tuple(Grant(place, role) for place, role in grants))


@pytest.mark.parametrize("role", Role)
def test_a_role_may_do_what_the_table_says_and_nothing_else(role: Role) -> None:
    assert {permission.value for permission in PERMISSIONS[role]} == MAY[role]


def test_only_an_owner_touches_people_wallet_accounts_and_the_audit_log() -> None:
    weighty = {Permission.USERS_MANAGE, Permission.ACCOUNTS_MANAGE, Permission.AUDIT_READ}

    assert [role for role in Role if PERMISSIONS[role] & weighty] == [Role.OWNER]


@pytest.mark.parametrize("permission", Permission)
def test_who_was_given_nothing_may_do_nothing(permission: Permission) -> None:
    nobody = visitor()

    assert not nobody.may(permission)
    assert not nobody.may(permission, 1)
    assert nobody.merchants(permission) == frozenset()


def test_a_role_counts_at_its_merchant_alone() -> None:
    someone = visitor((1, Role.FINANCE), (2, Role.CASHIER))

    assert someone.merchants(Permission.REFUND) == frozenset({1})
    assert someone.merchants(Permission.ORDERS_READ) == frozenset({1, 2})
    assert [someone.may(Permission.REFUND, place) for place in (None, 1, 2, 3, EVERY_MERCHANT)] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_a_role_at_every_merchant_counts_at_each() -> None:
    someone = visitor((EVERY_MERCHANT, Role.FINANCE), (2, Role.CASHIER))

    assert someone.merchants(Permission.REFUND) is None
    assert [someone.may(Permission.REFUND, place) for place in (None, 1, 2, EVERY_MERCHANT)] == [True] * 4
    assert not someone.may(Permission.USERS_MANAGE)


@pytest.mark.parametrize(
    ("places", "is_manageable"),
    [((1,), True), ((1, 2), False), ((3,), False), ((EVERY_MERCHANT,), False), ((), False)],
)
def test_people_are_managed_by_who_owns_every_merchant_they_work_at(
    places: tuple[int, ...], is_manageable: bool
) -> None:
    grants = tuple(Grant(place, Role.READER) for place in places)

    assert visitor((1, Role.OWNER), (2, Role.FINANCE)).may_manage(grants) is is_manageable
    assert visitor((EVERY_MERCHANT, Role.OWNER)).may_manage(grants)
