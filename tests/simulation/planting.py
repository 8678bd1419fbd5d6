"""Plants a bug in the gateway's code of this very process: a few words of one function are others for a while.

The words are exchanged in the function's source and its code object is replaced, so whoever imported the function, and
however, runs the bug. When the source has moved on, planting fails loudly instead of planting nothing.
"""

import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from types import CodeType, FunctionType
from typing import Any, cast

import msgspec


class NotPlanted(Exception):
    """The words to exchange are not in the function, or not once: the code has changed, and so must the bug."""


class Swap(msgspec.Struct, frozen=True):
    """In the source of `function`, `new` instead of `old`."""

    function: Callable[..., Any]
    old: str
    new: str


class Bug(msgspec.Struct, frozen=True, kw_only=True):
    """`breaks` says what is wrong now, in the words of a person who reviews the change."""

    name: str
    breaks: str
    swaps: tuple[Swap, ...]


def prepare(bugs: Iterable[Bug]) -> None:
    """Make sure that all can be planted, and independent of what happens to the files later. Raises NotPlanted."""
    problems = []
    for bug in bugs:
        for swap in bug.swaps:
            try:
                _code_with(swap)
            except NotPlanted as error:
                problems.append(f"{bug.name}: {error}")
    if problems:
        raise NotPlanted("\n".join(problems))


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """The gateway has this bug inside. Raises NotPlanted."""
    with ExitStack() as stack:
        for swap in bug.swaps:
            function = cast(FunctionType, swap.function)
            stack.callback(setattr, function, "__code__", function.__code__)
            function.__code__ = _code_with(swap)
        yield


@cache
def _code_with(swap: Swap) -> CodeType:
    function = cast(FunctionType, swap.function)
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(swap.old) != 1:
        raise NotPlanted(f"{source.count(swap.old)} times in {function.__module__}.{function.__qualname__}: {swap.old}")
    made: dict[str, Any] = {}
    text = source.replace(swap.old, swap.new)
    exec(compile(text, f"<planted in {function.__qualname__}>", "exec"), function.__globals__, made)
    code: CodeType = made[function.__name__].__code__
    return code
