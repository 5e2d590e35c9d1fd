"""The evaluator ``judge``: how often a language model prefers a policy's answers to a baseline's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from mpobench import Evaluator, Metric, RequestError, Workspace
from mpobench.files.text import expanded
from mpobench_llm.configuration import check_installed
from mpobench_llm.envs.language_env import LanguageEnv
from mpobench_llm.generation.instructions import read_instructions
from mpobench_llm.judge import baseline
from mpobench_llm.judge.digests import text_digest
from mpobench_llm.judge.prompt import Question, load_template
from mpobench_llm.judge.settings import JudgeSettings

if TYPE_CHECKING:
    from mpobench.protocols import JsonObject, Scale
    from mpobench_llm.generation.answer import Answer

PACKAGES = ("openai", "statsmodels")
"""What asks the endpoint, and what fits the length-controlled win rate, at the end of an evaluation."""


class Judge(JudgeSettings, Evaluator):
    """Pairwise verdicts from any OpenAI-compatible endpoint, as AlpacaEval 2 makes them.

    The judge sees every pair in both orders, and the preference is the mean of the two verdicts: a judge that always
    likes the first answer best prefers nobody. Equal answers are a tie, without a question. Verdicts stay on disk
    (see :mod:`mpobench_llm.judge.verdict_store`).
    """

    not_in_key: ClassVar[frozenset[str]] = frozenset(
        {"url", "concurrency", "timeout", "retries", "key_variable", "baseline", "instructions", "template"}
    )
    env_type: ClassVar[type] = LanguageEnv
    requires: ClassVar[str] = "answers to judge"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("win_rate", "%", summary="mean preference for the policy's answer over the baseline's"),
        Metric("lc_win_rate", "%", summary="the same if both were equally long (arXiv:2404.04475)"),
        Metric("win_rate_stderr", "%", False, "standard error of win_rate over instructions"),
        Metric("lc_win_rate_stderr", "%", False, "standard error of lc_win_rate over instructions"),
        Metric("length", "characters", summary="mean length of the policy's answers"),
        Metric(
            "undecided", "%", False, "verdicts that could not be read, asked again too: they count as ties"
        ),
        Metric("agreement", "%", summary="pairs in whose two orders the judge prefers the same answer"),
    )

    def config(self, env: LanguageEnv, scale: Scale) -> JsonObject:
        """The content of all files that the fields name, the number of instructions, the sampling of answers.

        Raises:
            RequestError: If a package or a file is missing, a file is malformed, or the baseline does not answer every
                instruction.
        """
        check_installed("judges", PACKAGES)
        instructions = self._given_instructions()
        answers = env.evaluation_settings(scale).answers if instructions is None else len(instructions)
        if answers < 2:
            raise RequestError(
                f"instructions {self.instructions}: a win rate with its error needs two or more"
            )
        return {
            "answers": answers,
            "instructions": None if instructions is None else text_digest("\0".join(instructions)),
            "template": text_digest(load_template(self.template)),
            "baseline": baseline.baseline_digest(self.baseline, instructions),
            "sampling": env.settings.sampling.model_dump(),
        }

    def evaluate(
        self, env: LanguageEnv, policy: Any, seed: int, scale: Scale, workspace: Workspace
    ) -> dict[str, float]:
        """The metrics of a policy: it and the baseline answer, and the judge compares.

        Raises:
            RequestError: If the endpoint fails for good: a pair without a judge does not count as a tie.
        """
        from mpobench_llm.judge import asking

        template = load_template(self.template)
        answers = env.answers(policy, seed, scale, _part(workspace, 0), self._given_instructions())
        if len(answers) < 2:
            raise RequestError(
                "a win rate with its error needs two instructions or more: name a file of them"
            )
        asked = [answer.instruction for answer in answers]
        others = baseline.baseline_answers(self.baseline, env, seed, scale, _part(workspace, 1), asked)
        pairs = list(zip(answers, others, strict=True))
        orders = [_orders(*pair) for pair in pairs if pair[0].output != pair[1].output]
        progress = _part(workspace, 2)
        heard = asking.verdicts(
            [question for both in orders for question in both],
            self,
            template,
            workspace.cache,
            lambda fraction: progress.report("evaluation", fraction),
        )
        return _metrics(pairs, [(heard[first.key], heard[second.key]) for first, second in orders])

    def _given_instructions(self) -> tuple[str, ...] | None:
        return None if self.instructions is None else read_instructions(expanded(self.instructions))


def _orders(answer: Answer, other: Answer) -> tuple[Question, Question]:
    """A pair with the policy's answer first, and with the baseline's first."""
    return (
        Question(answer.instruction, answer.output, other.output),
        Question(answer.instruction, other.output, answer.output),
    )


def _metrics(
    pairs: Sequence[tuple[Answer, Answer]], heard: Sequence[tuple[float | None, float | None]]
) -> dict[str, float]:
    """The metrics.

    Args:
        pairs: Answers of the policy and of the baseline.
        heard: Verdicts on both orders of the pairs that differ: the probability that the first answer is better.
    """
    import numpy as np

    from mpobench_llm.judge.win_rate import length_controlled_win_rate, win_rate

    differ = np.array([answer.output != other.output for answer, other in pairs])
    lengths = np.array([[len(answer.output), len(other.output)] for answer, other in pairs], dtype=float)
    verdicts = np.array(heard, dtype=float).reshape(-1, 2)  # None becomes NaN
    undecided = np.isnan(verdicts)
    for_policy = np.where(undecided, 0.5, np.abs(verdicts - [0, 1]))
    preferences = np.full(len(pairs), 0.5)
    preferences[differ] = for_policy.mean(axis=1)
    agreed = np.prod(np.sign(for_policy - 0.5), axis=1) > 0
    plain = win_rate(preferences)
    controlled = length_controlled_win_rate(preferences, *lengths.T)
    return {
        "win_rate": plain.percent,
        "lc_win_rate": controlled.percent,
        "win_rate_stderr": plain.stderr,
        "lc_win_rate_stderr": controlled.stderr,
        "length": float(lengths[:, 0].mean()),
        "undecided": 100 * float(undecided.sum()) / (2 * len(pairs)),
        "agreement": 100 * float(agreed.sum() + (~differ).sum()) / len(pairs),
    }


def _part(workspace: Workspace, part: int) -> Workspace:
    """The same workspace for one third of the evaluation's progress."""
    return replace(workspace, report=lambda phase, fraction: workspace.report(phase, (part + fraction) / 3))
