"""One source of randomness: while a world runs, everything that is drawn comes from its seed."""

import itertools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from unittest.mock import patch

from opentill.storage import history


def stream(seed: int, name: str) -> Random:
    """A source of its own for each purpose, so that drawing more for one leaves the others as they are."""
    return Random(f"{seed}:{name}")


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Order numbers, nonces, tokens and keys of events are drawn from the seed. Only inside, and in one thread."""
    source = stream(seed, "secrets")
    with (
        # Every function of `secrets` asks this object, also where it was bound as a default before.
        patch.object(secrets, "_sysrand", source),
        # `uuid.uuid4` and the AEAD nonces ask the operating system.
        patch.object(os, "urandom", source.randbytes),
        patch.object(history, "_counter", itertools.count(1)),
    ):
        yield
