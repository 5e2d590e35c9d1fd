"""Output to terminals that cannot show every character: they get a stand-in, never an exception."""

from __future__ import annotations

import codecs
import io
import re
import sys
import unicodedata

_STAND_INS = str.maketrans(
    {
        "±": "+-",
        "–": "-",
        "−": "-",
        "×": "x",
        "…": "...",
        "→": "->",
        "≤": "<=",
        "≥": ">=",
        "’": "'",
        "⁻": "^-",
    }
)
_HANDLER = "mpobench.stand-ins"


def never_raise() -> None:
    """Lets stdout and stderr replace characters that their encoding lacks.

    ``±`` becomes ``+-``, ``β`` becomes ``beta``, and others their escapes.
    """
    codecs.register_error(_HANDLER, _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_STAND_INS)
    text = re.sub("[α-ω]", lambda letter: unicodedata.name(letter[0]).split()[-1].lower(), text)
    return text.encode("ascii", "backslashreplace").decode(), error.end
