"""Secrets at rest (design 7, Keys)."""

import base64
import os
import stat
from pathlib import Path

import pytest

from opentill.base.sealing import Sealer, SealingError, master_key_file, new_master_key, read_master_key

KEY = bytes(range(32))


def test_what_is_sealed_for_a_place_is_opened_there() -> None:
    sealer = Sealer(KEY)

    sealed = sealer.seal("密钥 key", place="apps.key_sealed:A1")

    assert sealer.open(sealed, place="apps.key_sealed:A1") == "密钥 key"
    assert "key" not in sealed


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    sealer = Sealer(KEY)

    assert sealer.seal("key", place="p") != sealer.seal("key", place="p")


@pytest.mark.parametrize("place", ["apps.key_sealed:A2", "", "channel_accounts.settings_sealed:A1"])
def test_a_sealed_value_moved_elsewhere_does_not_open(place: str) -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal("key", place="apps.key_sealed:A1")

    with pytest.raises(SealingError):
        sealer.open(sealed, place=place)


def test_another_master_key_does_not_open_it() -> None:
    sealed = Sealer(KEY).seal("key", place="p")

    with pytest.raises(SealingError) as raised:
        Sealer(bytes(32)).open(sealed, place="p")

    assert sealed not in str(raised.value)


@pytest.mark.parametrize("sealed", ["", "s1:", "s1:AAAA", "nonsense", "s1:签"])
def test_what_was_never_sealed_does_not_open(sealed: str) -> None:
    with pytest.raises(SealingError):
        Sealer(KEY).open(sealed, place="p")


def test_every_changed_byte_is_noticed() -> None:
    sealer = Sealer(KEY)
    raw = bytearray(base64.b64decode(sealer.seal("key", place="p").removeprefix("s1:")))

    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1
        with pytest.raises(SealingError):
            sealer.open("s1:" + base64.b64encode(changed).decode(), place="p")


@pytest.mark.parametrize("text", ["", "x", base64.b64encode(bytes(31)).decode(), base64.b64encode(bytes(33)).decode()])
def test_a_master_key_is_32_bytes_in_base64(text: str) -> None:
    with pytest.raises(SealingError):
        read_master_key(text)


def test_a_new_master_key_is_readable_and_never_the_same() -> None:
    assert len(read_master_key(f" {new_master_key()}\n")) == 32
    assert new_master_key() != new_master_key()


def test_the_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "master.key"

    made = master_key_file(path)

    assert master_key_file(path) == made
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_broken_key_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_text("broken")

    with pytest.raises(SealingError):
        master_key_file(path)

    assert path.read_text() == "broken"


def test_a_mark_belongs_to_its_text_its_place_and_its_master_key() -> None:
    one, other = Sealer(b"a" * 32), Sealer(b"b" * 32)

    marks = {one.mac("x", place="p"), one.mac("y", place="p"), one.mac("x", place="q"), other.mac("x", place="p")}

    assert len(marks) == 4
    assert one.mac("x", place="p") == Sealer(b"a" * 32).mac("x", place="p")
    assert one.mac("x\0y", place="p") != one.mac("y", place="p\0x")
