"""An extension of griffe: what docstrings say in reStructuredText's roles, as Markdown, for the reference."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|meth|func|mod|data|attr|exc):`~?([\w.]+)`")
CODE_BLOCK = re.compile(
    r"^(?P<indent> *)\.\. code-block:: python\n\n(?P<code>(?:(?P=indent) +\S.*\n?|\s*\n)+)", re.MULTILINE
)


def as_markdown(text: str) -> str:
    """A docstring with references as code, code blocks as fences, and ``Example:`` as the section that Google names.

    Args:
        text: Docstring, its indentation removed.
    """
    text = ROLE.sub(lambda role: f"`{role[1]}`", text)
    text = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)

    def fenced(block: re.Match[str]) -> str:
        code = textwrap.dedent(block["code"]).strip("\n")
        return textwrap.indent(f"```python\n{code}\n```\n", block["indent"])

    return CODE_BLOCK.sub(fenced, text)


class Markdown(griffe.Extension):
    """Rewrites every docstring before the reference reads it."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrites the docstring of one module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
