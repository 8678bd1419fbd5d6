"""The signature debugger as pages show it: what was pasted, what the gateway makes of it, and why it does not fit."""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from opentill.base.errors import CATALOGUE, GatewayError
from opentill.commands.registry import Command, find_command
from opentill.domain.parties import App
from opentill.protocol.diagnosis import (
    CURRENT,
    EXPIRED,
    OLD,
    OTHER_APP,
    Diagnosis,
    KnownKey,
    Question,
    Reason,
    base_recipes,
    candidates,
    diagnose,
    masked,
)
from opentill.protocol.params import COMMON, Param, read_timestamp_ms, read_version
from opentill.protocol.pasted import MAX_PASTED, Pasted, Trouble, read_pasted
from opentill.protocol.recipes import KEY_MARK
from opentill.protocol.signing import read_public_key
from opentill.web.pages import Texts

MAX_THEIRS = 40_000
MAX_OTHER_APPS = 200
# Stands for the key in texts that the reader's browser completes; a private character that no request has.
KEY_PLACE = "\ue000"
# Characters that nobody sees.
_GLYPHS = {" ": "␠", "\n": "␊", "\r": "␍", "\t": "␉", "\u00a0": "⍽", "\u3000": "□"}
# Digests that the page's script can make too, and without bytes of another encoding.
_BROWSER_DIGESTS = {"MD5": "md5", "MD5-16": "md5-16", "HMAC-MD5": "hmac-md5", "MD5 twice": "md5-md5"}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """`app`: whose key may be used, if the reader holds it; `others`: further apps the reader holds the keys of.

    `at_ms`: when the request came, for its timestamp.
    """

    text: str
    their_text: str = ""
    app: App | None = None
    others: Sequence[App] = ()
    at_ms: int = 0


class Field(msgspec.Struct, frozen=True):
    """A parameter of the request. `part`: signed, empty, unsigned, sign."""

    name: str
    value: str
    part: str


class Note(msgspec.Struct, frozen=True):
    """What else the gateway would refuse, with or without a right signature. `number` 0: no error of its own."""

    title: str
    text: str
    number: int = 0


class Explained(msgspec.Struct, frozen=True):
    """A cause in words: what was done, and what to do instead."""

    title: str
    text: str


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """All a page shows. `try_out`: what the reader's browser may try with a key that never leaves it."""

    pasted: Pasted
    command: str
    app: str
    method: str
    diagnosis: Diagnosis
    fields: Sequence[Field]
    notes: Sequence[Note]
    reasons: Sequence[Explained]
    try_out: Mapping[str, object]


async def examine(asked: Asked, commands: Mapping[str, Command], texts: Texts, *, offers_browser: bool) -> Examination:
    """Look into a request; the search takes a tenth of a second, so that it has a thread of its own."""
    return await asyncio.to_thread(_examine, asked, commands, texts, offers_browser)


def _examine(asked: Asked, commands: Mapping[str, Command], texts: Texts, offers_browser: bool) -> Examination:
    pasted = read_pasted(asked.text[: MAX_PASTED + 1])
    command, notes = _command_of(pasted, commands, texts)
    documented = command.signed if command else _every_signed(commands)
    app = asked.app
    method = app.rules.sign_method if app else "MD5"
    question = Question(
        form=pasted.form,
        documented=documented,
        method=method,
        keys=_keys(app, asked.others, asked.at_ms),
        public_key=read_public_key(app.rules.public_key_pem) if app and method == "RSA2" else None,
        their_text=asked.their_text[:MAX_THEIRS].strip("\r\n"),
    )
    found = diagnose(question)
    notes += [*_troubles(pasted, texts), *_wrong_values(pasted.form, command, texts)]
    if pasted.form:
        notes += _timestamp_notes(pasted.form, app, asked.at_ms, texts)
    left_out = dict(found.left_out)
    return Examination(
        pasted=pasted,
        command=command.name if command else "",
        app=pasted.form.get("app", ""),
        method=method,
        diagnosis=found,
        fields=[
            Field(name, _shown(name, value, question), left_out.get(name, "sign" if name == "sign" else "signed"))
            for name, value in pasted.form.items()
        ],
        notes=notes,
        reasons=[explained(reason, texts) for reason in found.reasons],
        try_out=_try_out(question, texts) if offers_browser and pasted.form.get("sign") else {},
    )


def app_named(text: str) -> str:
    """The app of a pasted request; empty when it names none."""
    return read_pasted(text).form.get("app", "")


class Marked(msgspec.Struct, frozen=True):
    """A text around one character. `glyph`: that character, drawn so that it can be seen."""

    before: str
    glyph: str = ""
    after: str = ""


def marks_of(found: Diagnosis) -> dict[str, Marked]:
    """Both texts around the character with the first differing byte."""
    offset = found.difference.offset if found.difference else None
    return {"ours": _marked(found.our_text, offset), "theirs": _marked(found.their_text, offset)}


def _marked(text: str, offset: int | None) -> Marked:
    if offset is None:
        return Marked(text)
    before = text.encode()[:offset].decode(errors="ignore")
    character, after = text[len(before) : len(before) + 1], text[len(before) + 1 :]
    return Marked(before, _GLYPHS.get(character, character), after)


def explained(reason: Reason, texts: Texts) -> Explained:
    words = texts["cause"]
    what = reason.about.get("what", "")
    about = {"what": words.get(f"what_{what}".replace(" ", "_"), what), "value": reason.about.get("value", "")}
    name = reason.cause.value
    return Explained(words[f"{name}_title"].format(**about), words[f"{name}_text"].format(**about))


def _command_of(pasted: Pasted, commands: Mapping[str, Command], texts: Texts) -> tuple[Command | None, list[Note]]:
    if not pasted.form:
        return None, []
    notes: list[Note] = []
    command = None
    try:
        command = find_command(commands, pasted.form)
        read_version(pasted.form)
    except GatewayError as error:
        notes.append(_note(error, texts))
    return command, notes


def _every_signed(commands: Mapping[str, Command]) -> frozenset[str]:
    """Without a command nobody knows the interface's own set: all names any interface signs."""
    return frozenset().union(*(command.signed for command in commands.values()))


def _keys(app: App | None, others: Sequence[App], at_ms: int) -> list[KnownKey]:
    keys = []
    if app is not None:
        keys.append(KnownKey(app.key, CURRENT, app.app))
        if app.old_key:
            owner = OLD if at_ms < app.old_key_until_ms else EXPIRED
            keys.append(KnownKey(app.old_key, owner, app.app))
        # Without the app's own key another one's could not be told from it.
        keys += [KnownKey(other.key, OTHER_APP, other.app) for other in others[:MAX_OTHER_APPS] if other.key]
    return keys


def _shown(name: str, value: str, question: Question) -> str:
    if name in ("key", "signString"):
        return KEY_MARK if name == "key" else masked(value, question.keys)
    return masked(value, question.keys) if name != "sign" else value


def _troubles(pasted: Pasted, texts: Texts) -> list[Note]:
    words = texts["trouble"]
    numbers = {Trouble.REPEATED: 16, Trouble.TOO_LONG: 0}
    return [
        Note(
            words[f"{found.trouble.value}_title"].format(name=found.name),
            words[f"{found.trouble.value}_text"].format(name=found.name),
            numbers.get(found.trouble, 14),
        )
        for found in dict.fromkeys(pasted.troubles)
    ]


def _wrong_values(form: Mapping[str, str], command: Command | None, texts: Texts) -> list[Note]:
    """Every parameter that its reader would refuse, and every one that is missing."""
    if command is None:
        return []
    notes = []
    # command and version were read to find the interface; the timestamp has notes of its own.
    params = [param for param in (*COMMON, *command.params) if param.name not in ("command", "version", "timestamp")]
    for param in params:
        try:
            _read(param, form)
        except GatewayError as error:
            notes.append(_note(error, texts))
    return notes


def _read(param: Param, form: Mapping[str, str]) -> None:
    text = form.get(param.name, "")
    if text.strip(" "):
        param.read(text)
    elif param.is_required:
        raise GatewayError("PARAMETER_MISSING", parameter=param.name)


def _timestamp_notes(form: Mapping[str, str], app: App | None, at_ms: int, texts: Texts) -> list[Note]:
    text = form.get("timestamp", "").strip()
    if not text:
        return [_note(GatewayError("PARAMETER_MISSING", parameter="timestamp"), texts)]
    tolerance_ms = app.rules.tolerance_ms if app else 600_000
    if not tolerance_ms:
        return []
    try:
        off_ms = at_ms - read_timestamp_ms(text)
    except GatewayError as error:
        return [_note(error, texts)]
    if not at_ms or abs(off_ms) <= tolerance_ms:
        return []
    words = texts["debugger"]
    span = _span(abs(off_ms), words)
    title = words["clock_behind" if off_ms > 0 else "clock_ahead"].format(span=span)
    return [Note(title, words["clock_text"].format(minutes=tolerance_ms // 60_000), 24)]


def _span(ms: int, words: Mapping[str, str]) -> str:
    for unit, size_ms in (("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000)):
        if ms >= size_ms:
            return words[unit].format(count=f"{ms / size_ms:.0f}")
    return words["seconds"].format(count=ms // 1000)


def _note(error: GatewayError, texts: Texts) -> Note:
    return Note(error.message, advice(error.name, texts), error.number)


def advice(name: str, texts: Texts) -> str:
    """What to do about an error, in the reader's language; the catalogue itself advises in English."""
    return texts.get("advice", {}).get(name, CATALOGUE[name].advice if name in CATALOGUE else "")


def _try_out(question: Question, texts: Texts) -> dict[str, object]:
    """Single mistakes as texts with a place for the key: the browser completes and compares them."""
    bare = msgspec.structs.replace(question, keys=(), their_text="")
    ours = [recipe.full_text(KEY_PLACE) for recipe in base_recipes(bare)]
    tried = []
    for candidate in candidates(bare):
        recipe = candidate.recipe
        if len(candidate.reasons) > 1:
            break
        if recipe.digest in _BROWSER_DIGESTS and recipe.encoding == "utf-8":
            words = explained(candidate.reasons[0], texts)
            tried.append(
                {
                    "text": recipe.full_text(KEY_PLACE),
                    "digest": _BROWSER_DIGESTS[recipe.digest],
                    "title": words.title,
                    "advice": words.text,
                }
            )
    return {"sign": question.form.get("sign", "").strip(), "ours": ours, "tried": tried, "place": KEY_PLACE}
