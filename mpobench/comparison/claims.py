"""The paper's eight claims on the Three-Legged Ant, each as something to measure and the number it has to exceed."""

from __future__ import annotations

from dataclasses import dataclass

from mpobench.comparison.terms import (
    Formula,
    Mean,
    Term,
    average,
    difference,
    largest,
    percent,
    percent_above,
    smallest,
)

ENV = "tla"
"""The environment that the claims are about."""

COLUMNS = ("base", "mixed", "noisy:0.1", "noisy:0.3")
HAND_WRITTEN = ("rrhf", "slic", "dpo", "ipo", "cpo", "orpo", "rdpo", "simpo", "sft")
WITH_SFT_TERM, WITHOUT_SFT_TERM = ("cpo", "orpo", "sft"), ("dpo", "ipo", "simpo")
TAMPO = "tampo[schedule=quadratic]"


@dataclass(frozen=True)
class Part:
    """One measurement of a claim: it holds if the number is above a threshold.

    Attributes:
        name: What it is about, in few words; "" if it is all of the claim.
        measured: Number, a function of means.
        above: Threshold.
        unit: Unit of the number.
    """

    name: str
    measured: Term
    above: float = 0.0
    unit: str = ""


@dataclass(frozen=True)
class Claim:
    """A claim of the paper. It holds if all its parts hold, fails if one fails, and is undecided otherwise.

    Attributes:
        title: Claim, in few words.
        says: The paper's words, or nearly, and where they are.
        measured: Definition in words.
        parts: Measurements.
    """

    title: str
    says: str
    measured: str
    parts: tuple[Part, ...]


def kept(objective: str) -> Formula:
    """The share of base performance that an objective keeps at noisy:0.3, in percent."""
    return percent(Mean(objective, "noisy:0.3"), Mean(objective, "base"))


def on(corruption: str, *objectives: str) -> list[Mean]:
    """The means of objectives on a corruption."""
    return [Mean(objective, corruption) for objective in objectives]


def others(objective: str) -> list[str]:
    """The hand-written objectives but for one."""
    return [other for other in HAND_WRITTEN if other != objective]


def discovered(steps: int, g: str, setting: str) -> Mean:
    """What was discovered on a setting, on that setting."""
    return Mean(f"{steps}s-mpo[g={g},discovered={setting}]", setting)


SETTINGS = ("mixed", "noisy:0.1")
"""The settings on which all four classes of objectives were searched."""

CLAIMS = (
    Claim(
        "SFT terms buy robustness",
        "Algorithms with an SFT term in their objectives, e.g. CPO, ORPO and SFT, are much more robust to noise than "
        "SimPO, IPO and DPO (§4.2).",
        "Share of its `base` return that a loss keeps at `noisy:0.3`: the mean of `cpo`, `orpo` and `sft`, minus the "
        "largest of `simpo`, `ipo` and `dpo`; above 0.",
        (
            Part(
                "",
                difference(average([*map(kept, WITH_SFT_TERM)]), largest([*map(kept, WITHOUT_SFT_TERM)])),
                unit=" points",
            ),
        ),
    ),
    Claim(
        "SimPO leads on base and mixed, and collapses at noisy:0.3",
        "SimPO is at the top of the leaderboard on the base and the mixed-quality setting but performs poorly on all "
        "noisy settings (§4.2).",
        "`simpo` minus the best other hand-written loss on `base`, and on `mixed`: above 0; the worst other "
        "hand-written loss minus `simpo` on `noisy:0.3`: above 0.",
        (
            *(
                Part(column, difference(Mean("simpo", column), largest(on(column, *others("simpo")))))
                for column in ("base", "mixed")
            ),
            Part(
                "noisy:0.3",
                difference(smallest(on("noisy:0.3", *others("simpo"))), Mean("simpo", "noisy:0.3")),
            ),
        ),
    ),
    Claim(
        "SLiC above RRHF",
        "RRHF and SLiC-HF are very similar; that SLiC-HF clips later leads to a higher performance on all tasks "
        "(§4.2).",
        "`slic` minus `rrhf`, mean over the four columns: above 0.",
        (Part("", average([difference(Mean("slic", c), Mean("rrhf", c)) for c in COLUMNS])),),
    ),
    Claim(
        "LPO above most hand-written losses",
        "LPO obtains better results than most of the existing algorithms in Table 1 (§4.2).",
        "Share of the 36 comparisons (nine hand-written losses, four columns) in which the mean of `lpo` is the higher "
        "one: above 50 %.",
        (
            Part(
                "",
                percent_above([(Mean("lpo", c), Mean(o, c)) for c in COLUMNS for o in HAND_WRITTEN]),
                above=50,
                unit=" %",
            ),
        ),
    ),
    Claim(
        "One-step above two-step",
        "The objectives discovered within the two-step MPO class always have a lower performance than those within "
        "the one-step class (§4.2).",
        "`1s-mpo` minus `2s-mpo`, each on the setting where it was discovered, mean over g (fixed, learned) and "
        "setting (`mixed`, `noisy:0.1`): above 0.",
        (
            Part(
                "",
                average(
                    [
                        difference(discovered(1, g, setting), discovered(2, g, setting))
                        for g in ("learned", "logsigmoid")
                        for setting in SETTINGS
                    ]
                ),
            ),
        ),
    ),
    Claim(
        "Learned g above fixed g",
        "Allowing the evolution procedure to learn g leads to a better performance in all dataset settings (§4.2).",
        "Discovered with learned g minus with g = log σ, each on the setting where it was discovered, mean over steps "
        "(one, two) and setting (`mixed`, `noisy:0.1`): above 0.",
        (
            Part(
                "",
                average(
                    [
                        difference(discovered(steps, "learned", s), discovered(steps, "logsigmoid", s))
                        for steps in (1, 2)
                        for s in SETTINGS
                    ]
                ),
            ),
        ),
    ),
    Claim(
        "TA-MPO at or above all hand-written losses",
        "TA-MPO with the quadratic schedule matches or surpasses all human-designed algorithms in all settings (§4.3).",
        "`tampo` in percent of the best hand-written loss, in each of the four columns: above 95 % (matching is being "
        "within 5 %).",
        tuple(
            Part(
                column, percent(Mean(TAMPO, column), largest(on(column, *HAND_WRITTEN))), above=95, unit=" %"
            )
            for column in COLUMNS
        ),
    ),
    Claim(
        "Discovered above all",
        "Differently from the human-designed algorithms, the discovered objectives recover the performance of the "
        "target agent in multiple instances and are more robust to mixed-quality and noisy settings (§4.2).",
        "The one-step objective with learned g that was discovered on a setting, minus the best of the hand-written "
        "losses, `lpo` and `tampo` on it, for each of the three settings: above 0.",
        tuple(
            Part(s, difference(discovered(1, "learned", s), largest(on(s, *HAND_WRITTEN, "lpo", TAMPO))))
            for s in ("mixed", "noisy:0.1", "noisy:0.3")
        ),
    ),
)
"""The claims, in the paper's order."""
