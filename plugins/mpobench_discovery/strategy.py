"""OpenAI-ES (Salimans et al., 2017) from evosax, as the paper uses it (§2.3, Appendix G, Table 8).

evosax minimises, and its defaults (SGD, a spread of 1) are not the paper's.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import jax
import numpy as np
import optax
from evosax.algorithms.distribution_based.open_es import Open_ES
from numpy.typing import NDArray

from mpobench_discovery.genome import Genome, Numbers
from mpobench_discovery.settings import Search

STATE = "state"
"""Prefix of the names of the strategy's tensors."""


class Strategy:
    """Draws a generation around the mean, and moves the mean by the fitness of its members.

    Args:
        search: Settings of the search.
        genome: Genome whose numbers it moves.
    """

    def __init__(self, search: Search, genome: Genome) -> None:
        start: Any = jax.tree.map(np.asarray, genome.encoded(search.sigma))
        self._search, self._genome = search, genome
        self._scale = jax.tree.map(lambda array: np.float32(1 if array.ndim else search.reach), start)
        self._begin = jax.tree.map(np.divide, start, self._scale)
        leaves, structure = jax.tree.flatten(self._begin)
        shapes = tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)
        self._es = _open_es(
            search.population, search.learning_rate, search.sigma, search.sigma_decay, structure, shapes
        )

    def _key(self, generation: int) -> jax.Array:
        return jax.random.fold_in(jax.random.PRNGKey(self._search.seed), generation)

    def start(self) -> Any:
        """The state before the first generation: the mean is the start."""
        return self._es.init(self._key(0), self._begin, self._es.default_params)

    def ask(self, state: Any, generation: int) -> list[Numbers]:
        """The members of a generation, encoded: the first half, then their mirror images in the same order."""
        population, _ = self._es.ask(self._key(generation), state, self._es.default_params)
        scaled = jax.tree.map(lambda array, scale: np.asarray(array) * scale, population, self._scale)
        return [
            jax.tree.map(operator.itemgetter(member), scaled) for member in range(self._search.population)
        ]

    def tell(
        self, state: Any, generation: int, members: list[Numbers], fitness: NDArray[np.float64]
    ) -> tuple[Any, Numbers]:
        """Moves the mean.

        Args:
            state: State that the members were drawn from.
            generation: Number of the generation, from 1.
            members: Members from :meth:`ask`.
            fitness: ``(population,)``; NaN, of members that diverged, ranks lowest. Ranks alone move the mean.

        Returns:
            The next state, and its mean as the objective has it.
        """
        population = jax.tree.map(lambda scale, *arrays: np.stack(arrays) / scale, self._scale, *members)
        costs = np.where(np.isnan(fitness), np.inf, -fitness).astype(np.float32)
        after, _ = self._es.tell(self._key(generation), population, costs, state, self._es.default_params)
        return after, self._genome.decoded(self.mean(after))

    def mean(self, state: Any) -> Numbers:
        """The middle of the population, encoded."""
        mean = self._es.get_mean(state)
        numbers: Numbers = jax.tree.map(lambda array, scale: np.asarray(array) * scale, mean, self._scale)
        return numbers

    def pack(self, state: Any) -> dict[str, np.ndarray]:
        """The state as named arrays; :meth:`unpack` makes the same of them, to the bit."""
        leaves = jax.tree_util.tree_leaves_with_path(state)
        return {f"{STATE}{jax.tree_util.keystr(path)}": np.asarray(leaf) for path, leaf in leaves}

    def unpack(self, arrays: dict[str, np.ndarray]) -> Any:
        """A state from :meth:`pack`.

        Raises:
            KeyError: If an array is missing.
            ValueError: If one has another shape or type.
        """
        fresh = self.start()
        paths, structure = jax.tree_util.tree_flatten_with_path(fresh)
        leaves = []
        for path, leaf in paths:
            name = f"{STATE}{jax.tree_util.keystr(path)}"
            array, expected = arrays[name], np.asarray(leaf)
            if (array.shape, array.dtype) != (expected.shape, expected.dtype):
                raise ValueError(
                    f"{name!r} is {array.dtype} {array.shape}, not {expected.dtype} {expected.shape}"
                )
            leaves.append(jax.numpy.asarray(array))
        return jax.tree.unflatten(structure, leaves)


@functools.cache
def _open_es(
    population: int,
    learning_rate: float,
    sigma: float,
    sigma_decay: float,
    structure: Any,
    shapes: tuple[jax.ShapeDtypeStruct, ...],
) -> Open_ES:
    """The algorithm, one object for the same arguments: jax compiles its methods for each object.

    Args:
        population: Members of a generation.
        learning_rate: Learning rate of Adam.
        sigma: Standard deviation at the start.
        sigma_decay: Factor of the standard deviation from one generation to the next.
        structure: Tree of the numbers.
        shapes: Shapes and types of its leaves.
    """
    return Open_ES(
        population,
        jax.tree.unflatten(structure, [np.zeros(leaf.shape, leaf.dtype) for leaf in shapes]),
        use_antithetic_sampling=True,
        optimizer=optax.adam(learning_rate),
        std_schedule=optax.exponential_decay(sigma, 1, sigma_decay),
    )
