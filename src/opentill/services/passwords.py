"""Passwords: what may be one, and argon2id away from the event loop, one at a time."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH = 12
MAX_LENGTH = 200
MAX_WAITING = 64
"""Whoever comes when so many wait is told to come later: a hash takes 30 ms, and strangers may ask for one."""

# OWASP, Password Storage Cheat Sheet: argon2id with 19 MiB, 2 iterations, 1 lane. One at a time: at most 19 MiB.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passwords")
_waiting = 0

T = TypeVar("T")

# What people choose when twelve characters are asked for. Compared without case, spaces and punctuation at the ends.
# fmt: off
_COMMON = frozenset({
    "password1234", "password12345", "passwordpassword", "password123456", "administrator", "administrator1",
    "adminadminadmin", "admin1234567", "admin123456789", "123456789012", "1234567890123", "12345678901234",
    "1234567891011", "123123123123", "111111111111", "000000000000", "888888888888", "666666666666", "112233445566",
    "121212121212", "qwertyuiop12", "qwertyuiop123", "qwerty123456", "qwertyuiopasd", "qwertyqwerty", "1q2w3e4r5t6y",
    "1qaz2wsx3edc", "zaq12wsxcde3", "abcdefghijkl", "abcd12345678", "abc123abc123", "abcabcabcabc", "iloveyou1234",
    "iloveyouiloveyou", "letmeinletmein", "welcome12345", "welcomewelcome", "changemechangeme", "changeme1234",
    "opentillopentill", "opentill1234", "opentill12345", "woaini1314520", "woaini5201314", "5201314520131",
    "mima12345678", "alipay123456", "weixin123456", "wechat123456", "zhifubao1234", "shoukuan1234", "p@ssw0rd1234",
    "passw0rd1234", "superadmin123", "root12345678", "test12345678", "testtesttest",
})
# fmt: on


class TooManyPasswords(Exception):
    """More people sign in at this moment than this process will check. Nothing was decided."""


def problem_of(password: str, *, login: str) -> str:
    """Why it may not be a password: "short", "long", "common", "login"; "" when it may. No rule asks for symbols."""
    plain = _normal(password).casefold()
    if len(password) < MIN_LENGTH:
        return "short"
    if len(password) > MAX_LENGTH:
        return "long"
    if plain.strip(" .,!?*#@_-") in _COMMON or len(set(plain)) < 4:
        return "common"
    if login and login.casefold() in plain and len(plain) - len(login) < 6:
        return "login"
    return ""


async def hash_password(password: str) -> str:
    """Raises TooManyPasswords."""
    return await _in_turn(lambda: _HASHER.hash(_normal(password)))


async def matches(stored: str, password: str) -> bool:
    """Whether this is the password. `stored` "": nobody's, which takes as long. Raises TooManyPasswords."""
    return await _in_turn(lambda: _verify(stored or _nobodys_hash(), password) and bool(stored))


def is_outdated(stored: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(stored)


def _verify(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, _normal(password))
    except (VerificationError, InvalidHashError):
        return False


def _normal(password: str) -> str:
    """Keyboards write the same character in several ways."""
    return unicodedata.normalize("NFKC", password)


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash("nobody's password")


async def _in_turn(work: Callable[[], T]) -> T:
    global _waiting
    if _waiting >= MAX_WAITING:
        raise TooManyPasswords
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_THREAD, work)
    finally:
        _waiting -= 1
