"""The true reward of smollm-style: three rules that code can check, and fluency.

With the plain prompt the model breaks all three rules almost always; with three examples it keeps each about half of
the time.

References:
    Li et al. (2016), A Diversity-Promoting Objective Function for Neural Conversation Models, arXiv:1510.03055
    (distinct-n).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mpobench.env_kit.env_file import Settings
from mpobench_llm.models.preference_pair import Message

MIN_WORDS = 5
"""Number of words below which an answer keeps no rule: an empty one has no commas either."""

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

_WORD = re.compile(r"[^\W\d_]+")
_SENTENCE_END = re.compile(r"[.!?]+[\"')]*(?=\s|$)")


class FluencySettings(Settings):
    """Bounds of fluency: an answer is neither improbable under the untrained model, nor does it repeat itself.

    A learner that is paid for probable answers alone finds "it is. it is. it is.", which is probable, in lower case,
    and without commas.

    Attributes:
        broken: Mean log-probability with the plain prompt, in nats per token, at which fluency is 0.
        fluent: The same from which on it is 1.
        repeating: Share of distinct trigrams of words at which fluency is 0.
        varied: The same from which on it is 1.
    """

    broken: float
    fluent: float
    repeating: float
    varied: float

    def of(self, mean_logp: float, distinct: float) -> float:
        """Fluency, in [0, 1]: the lower one of two.

        Args:
            mean_logp: Mean log-probability, in nats per token.
            distinct: Share of distinct trigrams, in [0, 1].
        """
        likely = (mean_logp - self.broken) / (self.fluent - self.broken)
        varied = (distinct - self.repeating) / (self.varied - self.repeating)
        return max(0.0, min(1.0, likely, varied))


@dataclass(frozen=True)
class StyleScore:
    """The score of an answer.

    Attributes:
        lower_case: Whether it has no capital letter.
        no_commas: Whether it has no comma.
        two_sentences: Whether it has exactly two sentences, and the second one has an end.
        fluency: Fluency, in [0, 1].
    """

    lower_case: bool
    no_commas: bool
    two_sentences: bool
    fluency: float

    @property
    def total(self) -> float:
        """The return, 0 to 100: the share of the rules that are kept, times fluency."""
        return 100 * self.fluency * (self.lower_case + self.no_commas + self.two_sentences) / 3


def plain(prompt: str) -> tuple[Message, ...]:
    """The plain prompt: a question alone."""
    return ({"role": "user", "content": prompt},)


def instructed(prompt: str) -> tuple[Message, ...]:
    """The prompt of the target agent: the rules, three examples, and a question."""
    messages = [{"role": "system", "content": INSTRUCTION}]
    for question, answer in EXAMPLES:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return (*messages, {"role": "user", "content": prompt})


def score(text: str, mean_logp: float, settings: FluencySettings) -> StyleScore:
    """The score of an answer.

    Args:
        text: Text of the answer, without special tokens.
        mean_logp: Mean log-probability of its tokens under the untrained model with the plain prompt, in nats.
        settings: Bounds of fluency.
    """
    fluency = settings.of(mean_logp, distinct_trigrams(text))
    if len(_WORD.findall(text)) < MIN_WORDS:
        return StyleScore(False, False, False, fluency)
    return StyleScore(text == text.lower(), "," not in text, sentences(text) == 2, fluency)


def distinct_trigrams(text: str) -> float:
    """The share of distinct trigrams of words, whatever their case; 1 if there is none."""
    words = _WORD.findall(text.lower())
    trigrams = list(zip(words, words[1:], words[2:], strict=False))
    return len(set(trigrams)) / len(trigrams) if trigrams else 1.0


def sentences(text: str) -> int:
    """The number of sentences; 0 if the last one has no end."""
    text = text.strip()
    ends = list(_SENTENCE_END.finditer(text))
    if not ends or ends[-1].end() != len(text):
        return 0
    return len(ends)
