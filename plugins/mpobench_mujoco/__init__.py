"""MuJoCo tasks on brax physics: the paper's benchmark (§4), its agents, training and evaluation.

Nothing here imports jax until a component runs: planning and listing stay light.
"""

import os

# XLA logs, as errors, that programs of its own cache name CPU features which it does not know: read once, when jax
# is imported, which is after this.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
