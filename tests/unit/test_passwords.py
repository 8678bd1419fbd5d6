"""Passwords: argon2id as it was chosen, one at a time, and nobody's password lets nobody in."""

import asyncio

import pytest

from opentill.services import passwords
from opentill.services.passwords import TooManyPasswords, hash_password, is_outdated, matches


async def test_a_hash_is_argon2id_with_the_chosen_cost_and_its_own_salt() -> None:
    one, two = await hash_password("correct horse battery"), await hash_password("correct horse battery")

    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != two
    assert "correct" not in one


@pytest.mark.parametrize(
    ("given", "is_it"),
    [
        ("correct horse battery é", True),
        ("correct horse battery e\u0301", True),  # how another keyboard writes é
        ("correct horse battery e", False),
        ("Correct horse battery é", False),
        ("", False),
    ],
)
async def test_the_same_words_are_the_same_password_however_they_are_typed(given: str, is_it: bool) -> None:
    stored = await hash_password("correct horse battery é")

    assert await matches(stored, given) is is_it


@pytest.mark.parametrize("given", ["nobody's password", ""])
async def test_nobodys_password_lets_nobody_in(given: str) -> None:
    assert not await matches("", given)


@pytest.mark.parametrize("stored", ["x", "$argon2id$v=19$m=19456,t=2,p=1$broken"])
async def test_what_is_no_hash_matches_nothing(stored: str) -> None:
    assert not await matches(stored, "x")


def test_a_hash_of_other_cost_is_outdated() -> None:
    salt_and_hash = "c29tZXNhbHQxMjM0NTY$" + "A" * 43

    assert is_outdated("$argon2id$v=19$m=8,t=1,p=1$" + salt_and_hash)
    assert not is_outdated("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$" + "A" * 43)


async def test_who_comes_when_too_many_wait_is_told_so_and_the_others_get_their_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passwords, "MAX_WAITING", 3)

    answers = await asyncio.gather(*(hash_password(str(number)) for number in range(5)), return_exceptions=True)

    assert [isinstance(answer, TooManyPasswords) for answer in answers] == [False, False, False, True, True]
    assert await hash_password("later")
