"""One XLA thread a process, its widest vectors, and programs that are compiled once per machine."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from mpobench.files.locks import lock

WHOLE_VECTORS = {"xla_cpu_prefer_vector_width": 512}
"""Compiler options for programs that work on whole vectors: XLA's default is half of what AVX-512 has."""

ONCE = {"xla_backend_optimization_level": 0}
"""Compiler options for large programs that run once in a while: compiled in a fifth of the time."""


@functools.cache
def configure(cache: Path) -> None:
    """Prepares jax in this process; call it before the first computation.

    Small matrix products gain nothing from a second thread, and worker processes with one thread each
    do twice the work of one process that has both cores. What sets the size of XLA's thread pool on a CPU is
    ``PJRT_NPROC``, read when the backend starts; ``--xla_cpu_multi_thread_eigen=false
    intra_op_parallelism_threads=1`` in ``XLA_FLAGS``, which is what one finds recommended, changes nothing in
    jax 0.9. Compiled programs are kept in ``cache / "xla"`` (JAX's persistent compilation cache).

    Args:
        cache: Folder that runs share.
    """
    _before_jax()
    import jax

    jax.config.update("jax_compilation_cache_dir", str(cache / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _before_jax() -> None:
    """Sets the variables that XLA reads when its backend starts."""
    os.environ.setdefault("PJRT_NPROC", "1")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # workers share an accelerator's memory


GROUP_SIZE = 256
"""Policies that an accelerator trains in one program: each takes up to 2 MB for the activations of a trajectory."""


def group_size() -> int:
    """Number of policies that this process best trains in one program.

    On a processor it is 1, because worker processes in parallel use all cores; an accelerator would idle with a
    64×64 network of one policy.
    """
    if not entry_points(group="jax_plugins") and find_spec("libtpu") is None:
        return 1  # without importing jax
    _before_jax()
    import jax

    return 1 if jax.default_backend() == "cpu" else GROUP_SIZE


_called: set[str] = set()


@contextlib.contextmanager
def first_call(program: str) -> Iterator[None]:
    """Held around the call of a program that may have to be compiled.

    XLA compiles with all cores. Worker processes come to the same programs at the same time; the first one compiles,
    the others wait and read the result from the cache. Without a cache (:func:`configure`) nothing is held.

    Args:
        program: Name of the program, unique, and allowed as a file name.
    """
    import jax

    folder = jax.config.values["jax_compilation_cache_dir"]
    if program in _called or folder is None:
        yield
        return
    with lock(Path(folder).parent / "compiling" / program):
        yield
    _called.add(program)
