"""Why a signature does not match: the known mistakes are tried until one gives the very signature that was sent.

What is found that way is certain. Only when nothing fits is there a guess. Nothing here ever holds a key or a signature
that the reader does not hold: texts carry a mask in the key's place, and no signature but the given one is named.
"""

import base64
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from opentill.protocol.recipes import KEY_MARK, Cause, Deviation, Recipe, deviations, signature
from opentill.protocol.signing import NEVER_SIGNED

MAX_HASHED_BYTES = 4_000_000
"""What one diagnosis may hash: all of an ordinary request's 2 000 candidates, 0.1 s; a long request's fewer."""
MIN_CUT_SIGN = 16
"""A shorter piece of a signature is not recognised: it would help to guess the rest of one that is not yours."""
MIN_MASKED_KEY = 4
"""A shorter one could not be told from the values around it."""

MATCHES, DIFFERS, UNDECIDED, NO_SIGN = "matches", "differs", "undecided", "no_sign"
CURRENT, OLD, EXPIRED, OTHER_APP = "current", "old", "expired", "other_app"

# What beginners do at the same time; with the rest every two together would take too long.
COMMON = frozenset(
    {
        Cause.EMPTY_SIGNED, Cause.NULL_SIGNED, Cause.FIELD_TOO_MANY, Cause.FIELD_LEFT_OUT, Cause.GBK, Cause.URL_ENCODED,
        Cause.UNSORTED, Cause.KEY_JOINED, Cause.DIGEST, Cause.FLOAT_AMOUNT,
    }
)  # fmt: skip


class KnownKey(msgspec.Struct, frozen=True):
    """A key the reader may use without seeing it. `owner`: current, old (still accepted), expired, other_app."""

    key: str
    owner: str
    app: str


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """`form` as the gateway reads it, `sign` included. `their_text`: the string the developer signed, if pasted.

    `documented`: the interface's signed set. `method`: MD5, HMAC-SHA256 or RSA2. `keys`: may be empty.
    """

    form: Mapping[str, str]
    documented: frozenset[str]
    method: str = "MD5"
    keys: Sequence[KnownKey] = ()
    public_key: rsa.RSAPublicKey | None = None
    their_text: str = ""


class Reason(msgspec.Struct, frozen=True):
    """A cause with what fills its texts: `what` (names, a method), `value`."""

    cause: Cause
    about: Mapping[str, str] = {}


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The first byte in which two texts differ; "" where one of them has ended. `character`: the one it is part of."""

    offset: int
    our_hex: str
    our_character: str
    their_hex: str
    their_character: str


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """`our_text`: what the server signs; `their_text`: what was signed instead, as pasted or as found out.

    Both have the key masked. `verdict`: matches, differs, undecided (no key to try), no_sign. `is_certain`: the reasons
    give exactly the signature (or the text) that was sent.
    """

    verdict: str
    our_text: str
    their_text: str = ""
    difference: Difference | None = None
    reasons: tuple[Reason, ...] = ()
    is_certain: bool = False
    matched_owner: str = ""
    signs_everything: bool = False
    """It matches by the second rule of protocol 2: over all parameters received."""
    left_out: tuple[tuple[str, str], ...] = ()
    """Names the server does not sign, with why: empty, unsigned."""


class Candidate(msgspec.Struct, frozen=True):
    """One way the signature may have been made."""

    recipe: Recipe
    reasons: tuple[Reason, ...]


def diagnose(question: Question) -> Diagnosis:
    """Try what is known to go wrong; see `Diagnosis`."""
    form, sign = question.form, question.form.get("sign", "").strip()
    bases = base_recipes(question)
    ours = masked(bases[0].full_text(), question.keys)
    left_out = tuple(
        (name, "unsigned" if value.strip(" ") else "empty")
        for name, value in form.items()
        if name != "sign" and name not in _kept(bases[0])
    )
    known = Diagnosis(verdict=NO_SIGN, our_text=ours, left_out=left_out)
    theirs = masked(question.their_text, question.keys)
    if sign and (found := _right(question, bases, form["sign"])) is not None:
        text = masked(found[0].full_text(), question.keys)
        return msgspec.structs.replace(
            known, verdict=MATCHES, our_text=text, matched_owner=found[1],
            signs_everything=found[0] is not bases[0],
        )  # fmt: skip
    can_check = bool(question.keys or question.public_key)
    verdict = DIFFERS if sign and can_check else (UNDECIDED if sign else NO_SIGN)
    candidate = _tried(question, bases, sign, theirs) if theirs or verdict == DIFFERS else None
    if candidate is not None:
        theirs = theirs or masked(candidate.recipe.full_text(), question.keys)
        known = msgspec.structs.replace(known, reasons=candidate.reasons, is_certain=True)
    elif can_check and sign:
        known = msgspec.structs.replace(known, reasons=_guesses(question, sign))
    if theirs:
        known = msgspec.structs.replace(known, their_text=theirs, difference=_compared(ours, theirs))
    return msgspec.structs.replace(known, verdict=verdict)


def base_recipes(question: Question) -> list[Recipe]:
    """What the server tries: the documented set, then all parameters; in strict mode all but `sign` (protocol 2)."""
    form = question.form
    if question.method != "MD5":
        template = "{text}"
        everything = {name: value for name, value in form.items() if name != "sign"}
        return [Recipe(values=everything, template=template, digest=question.method)]
    documented = {name: value for name, value in form.items() if name in question.documented}
    received = {name: value for name, value in form.items() if name not in NEVER_SIGNED}
    return [Recipe(values=documented), Recipe(values=received)]


def candidates(question: Question) -> Iterator[Candidate]:
    """Every single mistake on each of the server's recipes, then every two common ones together."""
    bases = base_recipes(question)
    if question.method == "HMAC-SHA256":  # a strict app's client that still signs as the published pages say
        by_page = msgspec.structs.replace(question, method="MD5")
        for recipe in base_recipes(by_page):
            yield Candidate(recipe, (Reason(Cause.DIGEST, {"what": "MD5"}),))
    singles = [list(_deviations(question, recipe)) for recipe in bases]
    for recipe, found in zip(bases, singles, strict=True):
        for deviation in found:
            yield Candidate(deviation.apply(recipe), (_reason(deviation),))
    common = [deviation for deviation in singles[0] if deviation.cause in COMMON]
    for at, first in enumerate(common):
        once = first.apply(bases[0])
        for second in common[at + 1 :]:
            if second.cause is not first.cause:
                yield Candidate(second.apply(once), (_reason(first), _reason(second)))


def masked(text: str, keys: Sequence[KnownKey] = ()) -> str:
    """A developer's string to sign without any key in it."""
    for known in keys:
        if len(known.key) >= MIN_MASKED_KEY:
            text = text.replace(known.key, KEY_MARK)
    return re.sub(
        r"((?:^|&)(?:app_?)?(?:key|secret|sign_key)\s*=\s*)[^&\s]+", rf"\1{KEY_MARK}", text, flags=re.IGNORECASE
    )


def compare(ours: str, theirs: str) -> Difference | None:
    """The first differing byte of two texts in UTF-8; None when they are the same."""
    our, their = ours.encode(), theirs.encode()
    if our == their:
        return None
    at = next((i for i, (a, b) in enumerate(zip(our, their, strict=False)) if a != b), min(len(our), len(their)))
    return Difference(
        offset=at,
        our_hex=our[at : at + 1].hex(),
        our_character=_character(ours, at),
        their_hex=their[at : at + 1].hex(),
        their_character=_character(theirs, at),
    )


def _compared(ours: str, theirs: str) -> Difference | None:
    """A pasted text may end before the key, which is joined by whoever hashes it."""
    without_key = ours.removesuffix(f"&key={KEY_MARK}")
    return compare(ours if theirs.endswith(f"key={KEY_MARK}") else without_key, theirs)


def _character(text: str, at: int) -> str:
    """The character that the byte at `at` belongs to."""
    seen = 0
    for character in text:
        seen += len(character.encode())
        if seen > at:
            return character
    return ""


def _kept(recipe: Recipe) -> frozenset[str]:
    return frozenset(name for name, value in recipe.values.items() if value.strip(" "))


def _deviations(question: Question, recipe: Recipe) -> Iterator[Deviation]:
    documented = question.documented if question.method == "MD5" else frozenset(question.form) - {"sign"}
    return deviations(question.form, recipe.values, documented)


def _reason(deviation: Deviation) -> Reason:
    return Reason(deviation.cause, deviation.about)


def _right(question: Question, bases: Sequence[Recipe], sign: str) -> tuple[Recipe, str] | None:
    """The recipe and the key with which the server accepts the signature."""
    for recipe in bases:
        if question.public_key is not None:
            if _is_rsa_signed(question.public_key, recipe, sign):
                return recipe, CURRENT
            continue
        for known in question.keys:
            if known.owner in (CURRENT, OLD) and _fits(recipe, known.key, sign):
                return recipe, known.owner
    return None


def _tried(question: Question, bases: Sequence[Recipe], sign: str, theirs: str) -> Candidate | None:
    """The first way that leads to what was sent."""
    if sign != question.form.get("sign", "") and (found := _right(question, bases, sign)) is not None:
        return Candidate(found[0], (Reason(Cause.SPACES, {"what": "sign"}),))
    if another := _by_another_key(question, bases, sign):
        return another
    if cut := _cut(question, bases[0], sign):
        return cut
    if question.public_key is not None and (by_sha1 := _by_sha1(question.public_key, bases[0], sign)):
        return by_sha1
    keys = [known.key for known in question.keys if known.owner in (CURRENT, OLD)]
    ours = {recipe.full_text() for recipe in bases} | {recipe.text() for recipe in bases}
    left = MAX_HASHED_BYTES
    for candidate in candidates(question):
        text = candidate.recipe.full_text()
        if theirs and theirs not in ours and theirs in (text, candidate.recipe.text()):
            return candidate
        if sign and question.public_key is None:
            if any(_fits(candidate.recipe, key, sign) for key in keys):
                return candidate
            left -= len(text) * max(len(keys), 1)
        elif sign and question.public_key is not None and len(candidate.reasons) == 1:
            if _is_rsa_signed(question.public_key, candidate.recipe, sign):
                return candidate
            left -= len(text)
        if left < 0:
            return None
    return None


def _by_another_key(question: Question, bases: Sequence[Recipe], sign: str) -> Candidate | None:
    for recipe in bases:
        for known in question.keys:
            if known.owner == EXPIRED and _fits(recipe, known.key, sign):
                return Candidate(recipe, (Reason(Cause.OLD_KEY),))
            if known.owner == OTHER_APP and _fits(recipe, known.key, sign):
                return Candidate(recipe, (Reason(Cause.OTHER_APP_KEY, {"what": known.app}),))
            if known.owner == CURRENT:
                for tail in (" ", "\n", "\r\n", "\r", "\t"):
                    if _fits(recipe, known.key + tail, sign) or _fits(recipe, tail + known.key, sign):
                        return Candidate(recipe, (Reason(Cause.KEY_SPACES),))
                for changed in {known.key.upper(), known.key.lower()} - {known.key}:
                    if _fits(recipe, changed, sign):
                        return Candidate(recipe, (Reason(Cause.KEY_CASE),))
    # The text they signed is the server's, and hashed as it is gives their signature: only the key in it can differ.
    given = question.their_text.strip("\r\n")
    if given and sign and _same(signature("MD5", given.encode(), b""), sign):
        text = masked(given, question.keys)
        own = next((recipe for recipe in bases if recipe.full_text() == text), None)
        if own is not None and question.keys:
            return Candidate(own, (Reason(Cause.WRONG_KEY),))
    return None


def _cut(question: Question, recipe: Recipe, sign: str) -> Candidate | None:
    """The right signature, damaged on its way: spaces around it, an end missing, + read as a space."""
    if question.public_key is not None:
        if " " in sign and _is_rsa_signed(question.public_key, recipe, sign.replace(" ", "+")):
            return Candidate(recipe, (Reason(Cause.SIGN_PLUS),))
        return None
    if len(sign) < MIN_CUT_SIGN or len(sign) >= 32:
        return None
    for known in question.keys:
        if known.owner in (CURRENT, OLD):
            full = signature(recipe.digest, recipe.bytes_to_hash(known.key), known.key.encode())
            if full.startswith(sign.lower()) or full.endswith(sign.lower()):
                return Candidate(recipe, (Reason(Cause.SIGN_SHORT),))
    return None


def _by_sha1(key: rsa.RSAPublicKey, recipe: Recipe, sign: str) -> Candidate | None:
    if _is_rsa_signed(key, recipe, sign, algorithm=hashes.SHA1()):  # noqa: S303  the older RSA method of the wallets
        return Candidate(recipe, (Reason(Cause.DIGEST, {"what": "SHA1withRSA"}),))
    return None


def _guesses(question: Question, sign: str) -> tuple[Reason, ...]:
    """What is likely, most likely first, when no known mistake gives the signature."""
    found: list[Reason] = []
    wanted = {"MD5": 32, "HMAC-SHA256": 64}.get(question.method)
    is_hex = re.fullmatch(r"[0-9a-fA-F]+", sign) is not None
    if wanted and not (is_hex and len(sign) == wanted):
        names = {32: "MD5", 40: "SHA-1", 64: "HMAC-SHA256"}
        found.append(Reason(Cause.DIGEST, {"what": names.get(len(sign), f"{len(sign)}") if is_hex else "base64"}))
    elif question.method == "RSA2" and (is_hex or not _is_base64(sign)):
        found.append(Reason(Cause.DIGEST, {"what": "MD5" if len(sign) == 32 else f"{len(sign)}"}))
    found.append(Reason(Cause.WRONG_KEY))
    return tuple(found)


def _fits(recipe: Recipe, key: str, sign: str) -> bool:
    try:
        made = signature(recipe.digest, recipe.bytes_to_hash(key), key.encode())
    except UnicodeEncodeError:
        return False
    return _same(made, sign)


def _same(made: str, sign: str) -> bool:
    # Base64 keeps its case; hex may be written either way (protocol 2).
    if not sign.isascii():
        return False
    is_hex = re.fullmatch(r"[0-9a-f]+", made) is not None
    return hmac.compare_digest(made, sign.lower() if is_hex else sign)


def _is_rsa_signed(
    key: rsa.RSAPublicKey, recipe: Recipe, sign: str, *, algorithm: hashes.HashAlgorithm | None = None
) -> bool:
    try:
        data = recipe.text().encode(recipe.encoding)
        key.verify(base64.b64decode(sign, validate=True), data, padding.PKCS1v15(), algorithm or hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False
