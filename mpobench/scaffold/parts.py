"""The parts of the example that a plugin of one kind is made of, and the names in them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mpobench.errors import RequestError

NewKind: TypeAlias = Literal["objective", "corruption", "env", "evaluator", "launcher"]

EXAMPLE_MODULE, EXAMPLE_DISTRIBUTION = "mpobench_example", "mpobench-example"

_CLASSES: Mapping[NewKind, str] = {
    "objective": "Logistic",
    "corruption": "LazyJudge",
    "env": "Arms",
    "evaluator": "Payoff",
    "launcher": "Here",
}
_NAMES: Mapping[NewKind, str] = {
    "objective": "logistic",
    "corruption": "lazy-judge",
    "env": "arms",
    "evaluator": "payoff",
    "launcher": "here",
}
_TOGETHER: Mapping[NewKind, tuple[NewKind, NewKind]] = {
    "env": ("env", "evaluator"),
    "evaluator": ("env", "evaluator"),
}
"""Kinds that are of no use alone: an environment needs a score, and a score an environment."""

_SUFFIX: Mapping[NewKind, str] = {"env": "task", "evaluator": "score"}
"""Suffix of the name of what comes along."""


@dataclass(frozen=True)
class NewPlugin:
    """A plugin that is to be written.

    Attributes:
        kind: Kind of its component.
        name: Name of its component.
    """

    kind: NewKind
    name: str

    @property
    def distribution(self) -> str:
        """``mpobench-my-loss``: pip's name."""
        return f"mpobench-{re.sub(r'[._]+', '-', self.name)}"

    @property
    def module(self) -> str:
        """``mpobench_my_loss``."""
        return self.distribution.replace("-", "_")

    @property
    def names(self) -> dict[NewKind, str]:
        """Names of its components: its own, and that of what has to come along."""
        kinds = _TOGETHER.get(self.kind, (self.kind,))
        return {kind: self.name if kind == self.kind else f"{self.name}-{_SUFFIX[kind]}" for kind in kinds}

    @property
    def classes(self) -> dict[str, str]:
        """The new name of each class of the example that it takes over.

        Raises:
            RequestError: If a class cannot have its name.
        """
        return {_CLASSES[kind]: class_name(name) for kind, name in self.names.items()}

    def renamed(self, text: str) -> str:
        """A text of the example with this plugin's names: classes, components in quotes, module, distribution.

        All in one pass: a new name may be one of the example's.
        """
        new = {EXAMPLE_DISTRIBUTION: self.distribution, EXAMPLE_MODULE: self.module, **self.classes}
        new |= {f'"{_NAMES[kind]}"': f'"{name}"' for kind, name in self.names.items()}
        classes = "|".join(self.classes)
        others = "|".join(re.escape(old) for old in new if old not in self.classes)
        return re.sub(rf"\b(?:{classes})\b|{others}", lambda found: new[found[0]], text)


def class_name(name: str) -> str:
    """``my-loss.2`` → ``MyLoss2``.

    Raises:
        RequestError: If a class cannot have that name, because it begins with a digit or is a word of Python's.
    """
    words = re.split(r"[._-]+", name)
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    if not joined.isidentifier():
        raise RequestError(f"{name!r} begins with a digit, which no class does: choose another name")
    if keyword.iskeyword(joined):
        raise RequestError(f"{name!r} would be the class {joined}, a word of Python's: choose another name")
    return joined
