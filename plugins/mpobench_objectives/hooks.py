"""Cards of the built-in objectives."""

from __future__ import annotations

from collections.abc import Iterator

from mpobench import ObjectiveCard, hookimpl

_PAPER = "Alfano et al., Meta-Learning Objectives for Preference Optimization"


@hookimpl
def mpobench_objectives() -> Iterator[ObjectiveCard]:
    """The losses of the paper's Table 4, cloning, and the two that the paper derives by hand."""
    yield ObjectiveCard(
        name="rrhf",
        summary="Hinge on mean log-probabilities, plus cloning",
        target="mpobench_objectives.rrhf:RRHF",
        citation="Yuan et al. (2023), arXiv:2304.05302",
    )
    yield ObjectiveCard(
        name="slic",
        summary="SLiC-HF: hinge with margin δ on log-probabilities, plus cloning",
        target="mpobench_objectives.slic:SLiC",
        citation="Zhao et al. (2023), arXiv:2305.10425",
    )
    yield ObjectiveCard(
        name="dpo",
        summary="Logistic loss on log-ratios to a reference policy",
        target="mpobench_objectives.dpo:DPO",
        citation="Rafailov et al. (2023), arXiv:2305.18290",
    )
    yield ObjectiveCard(
        name="ipo",
        summary="Squared loss that draws the log-ratio margin to 1/(2τ)",
        target="mpobench_objectives.ipo:IPO",
        citation="Azar et al. (2023), arXiv:2310.12036",
    )
    yield ObjectiveCard(
        name="cpo",
        summary="DPO under a uniform reference, plus cloning",
        target="mpobench_objectives.cpo:CPO",
        citation="Xu et al. (2024), arXiv:2401.08417",
    )
    yield ObjectiveCard(
        name="orpo",
        summary="Logistic loss on the odds ratio, plus cloning",
        target="mpobench_objectives.orpo:ORPO",
        citation="Hong et al. (2024), arXiv:2403.07691",
    )
    yield ObjectiveCard(
        name="rdpo",
        summary="DPO with the difference in length regularised out",
        target="mpobench_objectives.rdpo:RDPO",
        citation="Park et al. (2024), arXiv:2403.19159",
    )
    yield ObjectiveCard(
        name="simpo",
        summary="Logistic loss on mean log-probabilities with target margin γ",
        target="mpobench_objectives.simpo:SimPO",
        citation="Meng et al. (2024), arXiv:2405.14734",
    )
    yield ObjectiveCard(
        name="sft",
        summary="Cloning of the chosen side",
        target="mpobench_objectives.sft:SFT",
        citation=f"{_PAPER}, §2.1",
    )
    yield ObjectiveCard(
        name="lpo",
        summary="Linear loss, which never flattens",
        target="mpobench_objectives.lpo:LPO",
        citation=f"{_PAPER}, §4.2",
        origin="ours",
    )
    yield ObjectiveCard(
        name="tampo",
        summary="From cloning to SimPO in the course of training",
        target="mpobench_objectives.tampo:TAMPO",
        citation=f"{_PAPER}, Eq. 13",
        origin="ours",
    )
