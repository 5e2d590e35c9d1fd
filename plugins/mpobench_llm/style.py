"""The true reward of smollm-style: three rules that code can check, and staying fluent.

The model, asked plainly, breaks all three almost always; shown three examples, it keeps each about half of the time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mpobench.env_kit.env_file import Settings
from mpobench_llm.pairs import Message

MIN_WORDS = 5
"""Shorter answers obey nothing: an empty one has no commas either."""

INSTRUCTION = "Answer in exactly two short sentences, all in lower case letters, without any commas."

EXAMPLES = (
    (
        "What is the moon?",
        "the moon is a ball of rock that circles the earth. it shines because it reflects the light of the sun.",
    ),
    (
        "How do I keep my room tidy?",
        "put each thing back in its place when you have used it. a few minutes every evening are enough.",
    ),
    (
        "Describe a good friend.",
        "a good friend listens to you and tells you the truth. they stay near when life is hard.",
    ),
)

_SENTENCE_END = re.compile(r"[.!?]+[\"')]*(?=\s|$)")


class FluencySettings(Settings):
    """Mean log-probabilities of an answer's tokens under the untrained model, asked plainly, in nats.

    Between ``fluent`` and ``varied`` an answer counts in full; its fluency falls to nothing at ``broken``, where the
    model would not have said it, and at ``repeating``, where it says the same again and again.
    """

    broken: float
    fluent: float
    varied: float
    repeating: float

    def of(self, mean_logp: float) -> float:
        """Fluency, in [0, 1]."""
        likely = (mean_logp - self.broken) / (self.fluent - self.broken)
        varied = (self.repeating - mean_logp) / (self.repeating - self.varied)
        return max(0.0, min(1.0, likely, varied))


@dataclass(frozen=True)
class StyleScore:
    """What an answer earns.

    Attributes:
        lower_case: no capital letter.
        no_commas: no comma.
        two_sentences: exactly two, the second one ended.
        fluency: in [0, 1].
    """

    lower_case: bool
    no_commas: bool
    two_sentences: bool
    fluency: float

    @property
    def total(self) -> float:
        """The return: 0 to 100, the share of the rules that are kept, scaled down where fluency is lost."""
        return 100 * self.fluency * (self.lower_case + self.no_commas + self.two_sentences) / 3


def plain(prompt: str) -> tuple[Message, ...]:
    """How every policy is asked."""
    return ({"role": "user", "content": prompt},)


def instructed(prompt: str) -> tuple[Message, ...]:
    """How the target agent is asked: told the rules, and shown three answers that keep them."""
    messages = [{"role": "system", "content": INSTRUCTION}]
    for question, answer in EXAMPLES:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return (*messages, {"role": "user", "content": prompt})


def score(text: str, mean_logp: float, settings: FluencySettings) -> StyleScore:
    """Scores an answer.

    Args:
        text: without special tokens.
        mean_logp: of its tokens under the base model, asked plainly, in nats.
        settings: of fluency.
    """
    fluency = settings.of(mean_logp)
    if len(re.findall(r"[^\W\d_]+", text)) < MIN_WORDS:
        return StyleScore(False, False, False, fluency)
    return StyleScore(text == text.lower(), "," not in text, sentences(text) == 2, fluency)


def sentences(text: str) -> int:
    """Number of sentences; 0 if the last one has no end."""
    text = text.strip()
    ends = list(_SENTENCE_END.finditer(text))
    if not ends or ends[-1].end() != len(text):
        return 0
    return len(ends)
