"""Spec strings: ``noisy:0.1``, ``tampo:schedule=sigmoid,beta=2`` ⇄ names and arguments.

Pure text: no registry, no types.

list  = spec {"," spec}        a chunk "key=value" without a name continues the spec before it
spec  = part {"+" part}        sums, for corruptions; "+" must be followed by a letter (1e+3 is a number)
part  = name [":" arg {"," arg}]
name  = letters, digits, ".", "-", "_" | a path that ends in ".json": an objective file
arg   = key "=" value | value  at most one bare value: the component's positional field
value = bare text | JSON string, array, object or null, within which "," and "+" mean nothing
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mpobench.errors import SpecError

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_NAMES = re.compile(rf"{_NAME.pattern}(\+{_NAME.pattern})*")
_FILE = re.compile(
    r"([^=]+\.json|.+?\.json)\s*(:|$)(.*)", re.DOTALL
)  # a path may hold ".json:", arguments hold "="
_KEY = re.compile(r"[A-Za-z_]\w*")
_CONTINUATION = re.compile(r"\s*[A-Za-z_]\w*\s*=")
_BARE = re.compile(r"[\w./~-]+")
_OPENING, _CLOSING = "[{", "]}"


@dataclass(frozen=True)
class Spec:
    """One parsed part.

    Attributes:
        name: Name of the component, or path of an objective file.
        args: (key, value) pairs in the order given; the key of a bare value is None.
    """

    name: str
    args: tuple[tuple[str | None, str], ...] = ()


def parse(text: str) -> Spec:
    """Parses one part, such as ``tampo:schedule=sigmoid,beta=2``.

    Raises:
        SpecError: For an empty or malformed name, a missing key or value, a key given twice or several
            bare values.
    """
    name, colon, rest = _head(text)
    if not name:
        raise SpecError(f"{text!r} has no name: write NAME or NAME:key=value")
    if not (_NAME.fullmatch(name) or is_file(name)):
        raise SpecError(
            f"{name!r} in {text!r} is not a name: use letters, digits, '.', '-' and '_', "
            "or name an objective file, PATH.json"
        )
    if not colon:
        return Spec(name)
    args = tuple(_argument(text, chunk) for chunk in _split_commas(rest))
    keys = [key for key, _ in args]
    if keys.count(None) > 1:
        bare = ", ".join(value for key, value in args if key is None)
        raise SpecError(f"{text!r} has several values without a key ({bare}): write key=value")
    for key in keys:
        if keys.count(key) > 1:
            raise SpecError(f"{text!r} gives {key!r} twice")
    return Spec(name, args)


def is_file(name: str) -> bool:
    """Whether the name of a part is the path of an objective file."""
    return name.endswith(".json")


def _head(text: str) -> tuple[str, str, str]:
    """Name, colon and arguments of a part; a path may hold colons and pluses itself."""
    name, colon, rest = (piece.strip() for piece in text.partition(":"))
    if not _NAMES.fullmatch(name) and (file := _FILE.fullmatch(text)):
        name, colon, rest = (piece.strip() for piece in file.groups())
    return name, colon, rest


def _argument(text: str, chunk: str) -> tuple[str | None, str]:
    if chunk.startswith(('"', *_OPENING)):
        return None, chunk
    key, equals, value = (piece.strip() for piece in chunk.partition("="))
    if not equals:
        if not key:
            raise SpecError(f"{text!r} has a stray ',' or ':': a value is missing")
        return None, key
    if not _KEY.fullmatch(key):
        raise SpecError(f"{key!r} in {text!r} is not a key: write key=value")
    if not value:
        raise SpecError(f"{text!r} gives no value for {key!r}: write {key}=VALUE")
    return key, value


def split_list(text: str) -> list[str]:
    """Splits a comma list into specs: ``dpo,tampo:schedule=sigmoid,beta=2,orpo`` has three.

    Raises:
        SpecError: For a stray comma, or a ``key=value`` with no spec before it.
    """
    specs: list[str] = []
    for chunk in _split_commas(text):
        if not chunk:
            raise SpecError(f"{text!r} has a stray ',': a name is missing")
        if not _CONTINUATION.match(chunk):
            specs.append(chunk)
        elif not specs:
            raise SpecError(f"{chunk!r} in {text!r} belongs to no name: write NAME:{chunk}")
        else:
            _, colon, _ = _head(split_sum(specs[-1])[-1])
            specs[-1] += ("," if colon else ":") + chunk
    return specs


def split_sum(text: str) -> list[str]:
    """Splits a sum into its parts: ``mixed+noisy:0.1`` has two, ``slow:1e+3`` one."""
    if is_file(_head(text)[0]):
        return [text.strip()]
    cuts = [at for at in _outside(text, "+") if text[at + 1 : at + 2].isalpha()]
    return [part.strip() for part in _cut(text, cuts)]


def canonical(name: str, fields: Mapping[str, object], positional: str | None = None) -> str:
    """The one way to write a component: keys sorted, values so that they parse back.

    Args:
        name: Name of the component.
        fields: Fields to state, JSON values (``model_dump(mode="json")``).
        positional: Field that is printed bare when it is the only one.
    """
    if not fields:
        return name
    if positional is not None and list(fields) == [positional]:
        return f"{name}:{format_value(fields[positional])}"
    return f"{name}:" + ",".join(f"{key}={format_value(fields[key])}" for key in sorted(fields))


def format_value(value: object) -> str:
    """A JSON value as spec text; :func:`read_value` and a typed field bring it back.

    Raises:
        SpecError: If the value is not JSON (a date in a TOML file, say).
    """
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, str) and _BARE.fullmatch(value) and value != "null":
        return value
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    except TypeError:
        raise SpecError(f"{value!r} cannot be written as a value") from None


def read_value(text: str) -> object:
    """The value that spec text stands for: JSON where it is written as such, else the text itself.

    Raises:
        SpecError: For malformed JSON.
    """
    if text != "null" and not text.startswith(('"', *_OPENING)):
        return text
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise SpecError(f"{text!r} is not valid JSON: {error}") from None
    return value


def _split_commas(text: str) -> list[str]:
    return [chunk.strip() for chunk in _cut(text, list(_outside(text, ",")))]


def _cut(text: str, cuts: list[int]) -> list[str]:
    starts = [0, *(at + 1 for at in cuts)]
    return [text[start:end] for start, end in zip(starts, [*cuts, len(text)], strict=True)]


def _outside(text: str, separator: str) -> Iterator[int]:
    """Positions of a separator that are inside neither quotes nor brackets."""
    depth, quoted, escaped = 0, False, False
    for at, char in enumerate(text):
        if quoted:
            quoted = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            quoted = True
        elif char in _OPENING:
            depth += 1
        elif char in _CLOSING:
            depth -= 1
        elif char == separator and depth == 0:
            yield at
    if quoted or depth:
        raise SpecError(f"{text!r} has an open quote or bracket")
