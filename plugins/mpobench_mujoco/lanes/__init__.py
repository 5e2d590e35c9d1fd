"""Many environments side by side in the last axis: what ``jax.vmap`` does, in the layout that a processor likes.

``jax.vmap`` puts the batch first. Physics is made of small things, vectors of three and quaternions of four numbers,
so that an array is ``(batch, bodies, 4)`` and a vector unit finds four numbers beside each other. With the batch
last, ``(bodies, 4, batch)``, every operation runs on whole vectors: on a CPU the same brax physics is more than three
times as fast (``mpobench bench`` measures it).

The way is that of JAX's documentation, "Writing custom Jaxpr interpreters in JAX": a function is traced for one
environment, and each of its operations carried out with one axis more. What does not depend on the environment is
computed once for all, whole numbers (indices) while tracing; an operation that has no rule here is batched by
``jax.vmap``.
"""

from mpobench_mujoco.lanes.interpreter import in_lanes

__all__ = ["in_lanes"]
