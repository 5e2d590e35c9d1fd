"""Cards of the built-in objectives."""

from __future__ import annotations

from collections.abc import Iterator

from mpobench import ObjectiveCard, hookimpl

_PAPER = "Alfano et al., Meta-Learning Objectives for Preference Optimization"


@hookimpl
def mpobench_objectives() -> Iterator[ObjectiveCard]:
    """The losses of the paper's Table 4, those of its peers, and the paper's own."""
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
        name="kto",
        summary="Utility of gains and losses against a reference point",
        target="mpobench_objectives.kto:KTO",
        citation="Ethayarajh et al. (2024), arXiv:2402.01306",
    )
    yield ObjectiveCard(
        name="fdpo",
        summary="DPO under a Jensen-Shannon, forward KL or alpha divergence",
        target="mpobench_objectives.fdpo:FDPO",
        citation="Wang et al. (2023), arXiv:2309.16240",
    )
    yield ObjectiveCard(
        name="cdpo",
        summary="DPO with smoothed labels, which stops at a finite margin",
        target="mpobench_objectives.cdpo:CDPO",
        citation="Mitchell (2023), A note on DPO with noisy preferences and relationship to IPO",
    )
    yield ObjectiveCard(
        name="robust-dpo",
        summary="DPO made unbiased under flipped labels",
        target="mpobench_objectives.robust_dpo:RobustDPO",
        citation="Chowdhury et al. (2024), arXiv:2403.00409",
    )
    yield ObjectiveCard(
        name="hinge",
        summary="RSO: hinge on log-ratios to a reference policy",
        target="mpobench_objectives.hinge:Hinge",
        citation="Liu et al. (2023), arXiv:2309.06657",
    )
    yield ObjectiveCard(
        name="exo_pair",
        summary="EXO: reverse KL to the judge's smoothed label",
        target="mpobench_objectives.exo:EXOPair",
        citation="Ji et al. (2024), arXiv:2402.00856",
    )
    yield ObjectiveCard(
        name="nca_pair",
        summary="Noise contrastive classification of both sides, chosen side anchored",
        target="mpobench_objectives.nca:NCAPair",
        citation="Chen et al. (2024), arXiv:2402.05369",
    )
    yield ObjectiveCard(
        name="bco_pair",
        summary="Binary classifier of both sides against the mean reward",
        target="mpobench_objectives.bco:BCOPair",
        citation="Jung et al. (2024), arXiv:2404.04656",
    )
    yield ObjectiveCard(
        name="sppo_hard",
        summary="Log-ratios regressed to ±1/(2β), the win rates of self-play",
        target="mpobench_objectives.sppo:SPPOHard",
        citation="Wu et al. (2024), arXiv:2405.00675",
    )
    yield ObjectiveCard(
        name="aot",
        summary="Optimal transport between the policy's and the reference's margins",
        target="mpobench_objectives.aot:AOT",
        citation="Melnyk et al. (2024), arXiv:2406.05882",
    )
    yield ObjectiveCard(
        name="aot_unpaired",
        summary="Optimal transport between the two sides' log-ratios",
        target="mpobench_objectives.aot:AOTUnpaired",
        citation="Melnyk et al. (2024), arXiv:2406.05882",
    )
    yield ObjectiveCard(
        name="apo_zero",
        summary="Anchored: the chosen side up, the rejected side down",
        target="mpobench_objectives.apo:APOZero",
        citation="D'Oosterlinck et al. (2024), arXiv:2408.06266",
    )
    yield ObjectiveCard(
        name="apo_down",
        summary="Anchored: both sides down, the rejected side more",
        target="mpobench_objectives.apo:APODown",
        citation="D'Oosterlinck et al. (2024), arXiv:2408.06266",
    )
    yield ObjectiveCard(
        name="discopop",
        summary="Logistic and exponential loss, blended by a language model",
        target="mpobench_objectives.discopop:DiscoPOP",
        citation="Lu et al. (2024), arXiv:2406.08414",
        origin="discovered",
    )
    yield ObjectiveCard(
        name="sigmoid_norm",
        summary="Length-normalised DPO",
        target="mpobench_objectives.sigmoid_norm:SigmoidNorm",
        citation="Lambert et al. (2024), arXiv:2411.15124",
    )
    yield ObjectiveCard(
        name="wpo",
        summary="DPO weighted by the policy's likelihood of each pair",
        target="mpobench_objectives.wpo:WPO",
        citation="Zhou et al. (2024), arXiv:2406.11827",
    )
    yield ObjectiveCard(
        name="chipo",
        summary="DPO with a χ² divergence, against over-optimization",
        target="mpobench_objectives.chipo:ChiPO",
        citation="Huang et al. (2024), arXiv:2407.13399",
    )
    yield ObjectiveCard(
        name="alphapo",
        summary="SimPO with a power of the probability as reward",
        target="mpobench_objectives.alphapo:AlphaPO",
        citation="Gupta et al. (2025), arXiv:2501.03884",
    )
    yield ObjectiveCard(
        name="cpl",
        summary="Regret-based logistic loss with a conservative bias",
        target="mpobench_objectives.cpl:CPL",
        citation="Hejna et al. (2024), arXiv:2310.13639",
    )
    yield ObjectiveCard(
        name="rpo",
        summary="DPO plus cloning",
        target="mpobench_objectives.rpo:RPO",
        citation="Pang et al. (2024), arXiv:2404.19733; Liu et al. (2024), arXiv:2405.16436",
    )
    yield ObjectiveCard(
        name="cpo-simpo",
        summary="SimPO's loss plus cloning, in one stage",
        target="mpobench_objectives.cpo_variants:CPOSimPO",
        citation="Xu et al. (2024), https://github.com/fe1ixxu/CPO_SIMPO",
    )
    yield ObjectiveCard(
        name="cpo-ipo",
        summary="IPO's loss without a reference, plus cloning",
        target="mpobench_objectives.cpo_variants:CPOIPO",
        citation="Azar et al. (2023), arXiv:2310.12036; Xu et al. (2024), arXiv:2401.08417",
    )
    yield ObjectiveCard(
        name="mpo-log-sigmoid",
        summary="CPO with weights: what discovery recovers in one stage with g = log σ",
        target="mpobench_objectives.mpo_log_sigmoid:MPOLogSigmoid",
        citation=f"{_PAPER}, §4.2",
        origin="discovered",
    )
    yield ObjectiveCard(
        name="mpo-mixed",
        summary="Cubic in the margin, plus cloning: discovered on mixed quality, simplified",
        target="mpobench_objectives.mpo_simplified:MPOMixed",
        citation=f"{_PAPER}, Appendix I.2",
        origin="discovered",
    )
    yield ObjectiveCard(
        name="mpo-noisy",
        summary="Square of the margin, plus cloning: discovered on noisy labels, simplified",
        target="mpobench_objectives.mpo_simplified:MPONoisy",
        citation=f"{_PAPER}, Appendix I.2",
        origin="discovered",
    )
    yield ObjectiveCard(
        name="mpo-polynomial",
        summary="Any polynomial of the margin up to the fifth degree, plus cloning: distilled networks",
        target="mpobench_objectives.mpo_polynomial:MPOPolynomial",
        citation=f"{_PAPER}, Appendix I.2",
        origin="discovered",
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
        name="1s-mpo",
        summary="Cloning and preferences in one stage, through any mirror map or network",
        target="mpobench_objectives.mirror.one_step:OneStepMPO",
        citation=f"{_PAPER}, Eq. 11",
        origin="ours",
    )
    yield ObjectiveCard(
        name="2s-mpo",
        summary="DPO through any mirror map or network",
        target="mpobench_objectives.mirror.two_step:TwoStepMPO",
        citation=f"{_PAPER}, Eq. 10",
        origin="ours",
    )
    yield ObjectiveCard(
        name="tampo",
        summary="From cloning to SimPO in the course of training",
        target="mpobench_objectives.tampo:TAMPO",
        citation=f"{_PAPER}, Eq. 12 and 13",
        origin="ours",
    )
