"""The published formula of every built-in objective, on probabilities in mpmath, to be maximised.

Written from the papers, in their notation and signs, apart from the code that they test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

from mpmath import mp, mpf

ZERO = mpf(0)


@dataclass(frozen=True)
class Trajectories:
    """What the formulas speak of: probabilities of the chosen (w) and rejected (l) side, and lengths."""

    pi_w: mpf
    pi_l: mpf
    ref_w: mpf
    ref_l: mpf
    n_w: mpf
    n_l: mpf
    t: mpf

    @property
    def u_w(self) -> mpf:
        """The ratio to the reference of the chosen side."""
        return self.pi_w / self.ref_w

    @property
    def u_l(self) -> mpf:
        """The ratio to the reference of the rejected side."""
        return self.pi_l / self.ref_l

    @property
    def margin(self) -> mpf:
        """The log-ratio margin, Δ."""
        return mp.log(self.u_w) - mp.log(self.u_l)


Formula = Callable[[SimpleNamespace, Trajectories, Trajectories], mpf]
BatchFormula = Callable[[SimpleNamespace, list[Trajectories], list[Trajectories]], list[mpf]]


def sigma(x: mpf) -> mpf:
    return 1 / (1 + mp.exp(-x))


def odds(p: mpf) -> mpf:
    return p / (1 - p)


def mean(values: list[mpf]) -> mpf:
    return sum(values) / len(values)


def inverse_potential(name: str, p: mpf, q: mpf) -> mpf:
    """φ⁻¹ (and ψ) of the mirror maps that have a name."""
    return {
        "log": lambda: mp.log(p),
        "logit": lambda: mp.log(odds(p)),
        "tsallis": lambda: (p ** (q - 1) - 1) / (q - 1),
        "l2": lambda: 2 * p,
    }[name]()


def g(name: str, x: mpf) -> mpf:
    return mp.log(sigma(x)) if name == "log-sigmoid" else x


def one_step(o: SimpleNamespace, x: Trajectories) -> mpf:
    margin = inverse_potential(o.phi, x.pi_w, o.q) - inverse_potential(o.phi, x.pi_l, o.q)
    return inverse_potential(o.psi, x.pi_w, o.q) + o.lam * g(o.g, o.beta * margin)


def two_step(o: SimpleNamespace, x: Trajectories) -> mpf:
    w, ref_w, l, ref_l = (inverse_potential(o.phi, p, o.q) for p in (x.pi_w, x.ref_w, x.pi_l, x.ref_l))  # noqa: E741
    return g(o.g, o.beta * (w - ref_w - l + ref_l))


def tampo(o: SimpleNamespace, x: Trajectories) -> mpf:
    alpha = {"linear": x.t, "quadratic": x.t * x.t, "sigmoid": sigma(20 * (x.t - mpf("0.75")))}[o.schedule]
    margin = inverse_potential(o.phi, x.pi_w, o.q) - inverse_potential(o.phi, x.pi_l, o.q)
    preference = g(o.g, o.beta * margin - o.gamma)
    return (1 - alpha) * inverse_potential(o.psi, x.pi_w, o.q) + alpha * preference


def fdpo(o: SimpleNamespace, x: Trajectories) -> mpf:
    f_prime = {  # Table 1 of Wang et al., with its constants
        "reverse_kl": lambda u: mp.log(u) + 1,
        "forward_kl": lambda u: -1 / u,
        "jensen_shannon": lambda u: mp.log(2 * u / (1 + u)),
        "alpha": lambda u: (1 - u**-o.alpha) / o.alpha,
    }[o.divergence]
    return mp.log(sigma(o.beta * f_prime(x.u_w) - o.beta * f_prime(x.u_l)))


def exo(o: SimpleNamespace, x: Trajectories) -> mpf:
    w, l = x.u_w**o.beta, x.u_l**o.beta  # noqa: E741
    p_w, p_l = w / (w + l), l / (w + l)
    return -p_w * mp.log(p_w / (1 - o.epsilon)) - p_l * mp.log(p_l / o.epsilon)


def discopop(o: SimpleNamespace, x: Trajectories) -> mpf:
    rho = o.beta * x.margin
    gate = sigma(rho / o.tau)
    return (1 - gate) * mp.log(sigma(rho)) - gate * mp.exp(-rho)


def alphapo(o: SimpleNamespace, root: Trajectories) -> mpf:
    def reward(p: mpf) -> mpf:
        return (1 - p**-o.alpha) / o.alpha

    return mp.log(sigma(o.beta * (reward(root.pi_w) - reward(root.pi_l)) - o.gamma))


def chipo(o: SimpleNamespace, x: Trajectories) -> mpf:
    def phi(z: mpf) -> mpf:
        return z + mp.log(z)

    difference = o.beta * phi(x.u_w) - o.beta * phi(x.u_l)
    return mp.log(sigma(max(-2 * o.r_max, min(difference, 2 * o.r_max))))


def mpo_mixed(x: Trajectories) -> mpf:
    d = mp.log(x.pi_w) - mp.log(x.pi_l)
    return mpf("0.82") * mp.log(x.pi_w) + mpf("1.7") * d + mpf("0.33") * d**2 + mpf("0.36") * d**3


def mpo_noisy(x: Trajectories) -> mpf:
    d = mp.log(x.pi_w) - mp.log(x.pi_l)
    return mpf("0.82") * mp.log(x.pi_w) + max(mpf("1.39") * d**2, mpf("0.12") * d)


def mpo_polynomial(o: SimpleNamespace, x: Trajectories) -> mpf:
    d = mp.log(x.pi_w) - mp.log(x.pi_l)
    near = min(max(d, o.low), o.high)
    terms = list(enumerate((o.c1, o.c2, o.c3, o.c4, o.c5), start=1))
    tangent = sum(k * c * near ** (k - 1) for k, c in terms)
    return o.alpha * mp.log(x.pi_w) + sum(c * near**k for k, c in terms) + tangent * (d - near)


# π(τ) is the product over steps, or under reduction=mean its geometric mean. Where a formula divides by the
# length itself, `root` is that geometric mean under either reduction.
PUBLISHED: dict[str, Formula] = {
    # Table 4, §2.1, §4.2, Eq. 10 to 13 and Appendix I.2 of the benchmark's paper
    "rrhf": lambda o, x, root: o.lam * mp.log(x.pi_w) - max(ZERO, -mp.log(root.pi_w) + mp.log(root.pi_l)),
    "slic": lambda o, x, root: o.lam * mp.log(x.pi_w) - max(ZERO, o.delta - mp.log(x.pi_w) + mp.log(x.pi_l)),
    "dpo": lambda o, x, root: mp.log(
        sigma(o.beta * mp.log(x.pi_w / x.ref_w) - o.beta * mp.log(x.pi_l / x.ref_l))
    ),
    "rpo": lambda o, x, root: (
        mp.log(sigma(o.beta * mp.log(x.pi_w / x.ref_w) - o.beta * mp.log(x.pi_l / x.ref_l)))
        + o.lam * mp.log(root.pi_w)
    ),
    "ipo": lambda o, x, root: -((mp.log(x.pi_w / x.ref_w) - mp.log(x.pi_l / x.ref_l) - 1 / (2 * o.tau)) ** 2),
    "cpo": lambda o, x, root: (
        mp.log(x.pi_w) + mp.log(sigma(o.beta * mp.log(x.pi_w) - o.beta * mp.log(x.pi_l)))
    ),
    "orpo": lambda o, x, root: (
        mp.log(root.pi_w) + o.lam * mp.log(sigma(mp.log(odds(root.pi_w)) - mp.log(odds(root.pi_l))))
    ),
    "rdpo": lambda o, x, root: mp.log(
        sigma(
            o.beta * mp.log(x.pi_w / x.ref_w)
            - o.beta * mp.log(x.pi_l / x.ref_l)
            + (o.alpha * x.n_w - o.alpha * x.n_l)
        )
    ),
    "simpo": lambda o, x, root: mp.log(
        sigma(o.beta * mp.log(root.pi_w) - o.beta * mp.log(root.pi_l) - o.gamma)
    ),
    "sft": lambda o, x, root: mp.log(x.pi_w),
    "lpo": lambda o, x, root: o.lam * mp.log(x.pi_w) - mp.log(x.pi_l),
    "1s-mpo": lambda o, x, root: one_step(o, x),
    "2s-mpo": lambda o, x, root: two_step(o, x),
    "tampo": lambda o, x, root: tampo(o, x),
    "mpo-log-sigmoid": lambda o, x, root: (
        o.alpha * mp.log(x.pi_w) + o.lam * mp.log(sigma(o.beta * mp.log(x.pi_w) - o.beta * mp.log(x.pi_l)))
    ),
    "mpo-mixed": lambda o, x, root: mpo_mixed(x),
    "mpo-noisy": lambda o, x, root: mpo_noisy(x),
    "mpo-polynomial": lambda o, x, root: mpo_polynomial(o, x),
    # the peers', each in the notation of its own paper
    "fdpo": lambda o, x, root: fdpo(o, x),
    "cdpo": lambda o, x, root: (
        (1 - o.epsilon) * mp.log(sigma(o.beta * x.margin)) + o.epsilon * mp.log(1 - sigma(o.beta * x.margin))
    ),
    "robust-dpo": lambda o, x, root: (
        ((1 - o.epsilon) * mp.log(sigma(o.beta * x.margin)) - o.epsilon * mp.log(sigma(-o.beta * x.margin)))
        / (1 - 2 * o.epsilon)
    ),
    "hinge": lambda o, x, root: -max(ZERO, 1 - o.beta * x.margin),
    "exo_pair": lambda o, x, root: exo(o, x),
    "nca_pair": lambda o, x, root: (
        mp.log(sigma(o.beta * mp.log(x.u_w)))
        + mp.log(sigma(-o.beta * mp.log(x.u_w))) / 2
        + mp.log(sigma(-o.beta * mp.log(x.u_l))) / 2
    ),
    "sppo_hard": lambda o, x, root: (
        -((mp.log(x.u_w) - (1 / o.beta) * (1 - mpf(1) / 2)) ** 2)
        - (mp.log(x.u_l) - (1 / o.beta) * (0 - mpf(1) / 2)) ** 2
    ),
    "apo_zero": lambda o, x, root: (
        sigma(o.beta * mp.log(x.u_w)) - sigma(o.beta * mp.log(x.u_l)) - 1  # 1: TRL's constant
    ),
    "apo_down": lambda o, x, root: -sigma(o.beta * mp.log(x.u_w)) + sigma(o.beta * x.margin) - 1,
    "discopop": lambda o, x, root: discopop(o, x),
    "sigmoid_norm": lambda o, x, root: mp.log(
        sigma(o.beta / x.n_w * mp.log(root.u_w**x.n_w) - o.beta / x.n_l * mp.log(root.u_l**x.n_l))
    ),
    "alphapo": lambda o, x, root: alphapo(o, root),
    "cpl": lambda o, x, root: mp.log(
        x.pi_w**o.alpha / (x.pi_w**o.alpha + mp.exp(o.lam * o.alpha * mp.log(x.pi_l)))
    ),
    "cpo-simpo": lambda o, x, root: (
        o.lam * mp.log(root.pi_w) + mp.log(sigma(o.beta * mp.log(root.pi_w / root.pi_l) - o.gamma))
    ),
    "cpo-ipo": lambda o, x, root: (
        o.lam * mp.log(root.pi_w) - (mp.log(root.pi_w / root.pi_l) - 1 / (2 * o.tau)) ** 2
    ),
    "chipo": lambda o, x, root: chipo(o, x),
}


def kto(o: SimpleNamespace, rows: list[Trajectories], constant: list[Trajectories]) -> list[mpf]:
    z = max(ZERO, mean([mp.log(u) for x in constant for u in (x.u_w, x.u_l)]))
    return [
        o.desirable * (sigma(o.beta * (mp.log(x.u_w) - z)) - 1)
        + o.undesirable * (sigma(o.beta * (z - mp.log(x.u_l))) - 1)
        for x in rows
    ]


def bco(o: SimpleNamespace, rows: list[Trajectories], constant: list[Trajectories]) -> list[mpf]:
    rewards = [o.beta * mp.log(u) for x in constant for u in (x.u_w, x.u_l)]
    delta = mean(rewards) if o.shift else ZERO
    return [
        mp.log(sigma(o.beta * mp.log(x.u_w) - delta)) + mp.log(1 - sigma(o.beta * mp.log(x.u_l) - delta))
        for x in rows
    ]


def wpo(o: SimpleNamespace, rows: list[Trajectories], constant: list[Trajectories]) -> list[mpf]:
    def weight(x: Trajectories) -> mpf:
        n_w, n_l = (1, 1) if o.reduction == "mean" else (x.n_w, x.n_l)
        return mp.root(x.pi_w, int(n_w)) * mp.root(x.pi_l, int(n_l))

    return [weight(c) * mp.log(sigma(o.beta * x.margin)) for x, c in zip(rows, constant, strict=True)]


def transported(o: SimpleNamespace, of: list[mpf], among: list[mpf]) -> list[mpf]:
    """Log-sigmoid of the differences of order statistics, in the order of ``of``."""
    pairs = dict(zip(sorted(of), sorted(among), strict=True))
    return [mp.log(sigma(o.beta * (value - pairs[value]))) for value in of]


# Formulas of a whole batch; what carries no gradient is computed from `constant`, the batch where the derivative
# is taken.
PUBLISHED_OF_BATCH: dict[str, BatchFormula] = {
    "kto": kto,
    "bco_pair": bco,
    "wpo": wpo,
    "aot": lambda o, rows, constant: transported(
        o, [mp.log(x.pi_w / x.pi_l) for x in rows], [mp.log(x.ref_w / x.ref_l) for x in rows]
    ),
    "aot_unpaired": lambda o, rows, constant: transported(
        o, [mp.log(x.u_w) for x in rows], [mp.log(x.u_l) for x in rows]
    ),
}
