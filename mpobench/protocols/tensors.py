"""Named arrays as the value of a field: the weights of a network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Tensors(Mapping[str, "NDArray[np.float32]"]):
    """Arrays by name, as a value: immutable, hashable, equal where all names, shapes and numbers are.

    As a field of a pydantic model it is given as such or as a mapping of float32 arrays. Dumped to JSON it is
    its digest alone, ``{"sha256": "..."}``, which is what content keys need; the numbers themselves live in
    an objective file (:mod:`mpobench.registry.objective_files`), since nobody can write them in a spec.

    Args:
        arrays: Float32 arrays of any library and shape; they are copied.

    Raises:
        ValueError: For a value that is no float32 array, or a number that is not finite.
    """

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self._arrays = {str(name): _frozen(str(name), arrays[name]) for name in sorted(arrays)}

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    @cached_property
    def sha256(self) -> str:
        """64 hexadecimal digits that stand for names, shapes and numbers."""
        digest = hashlib.sha256()
        for name, array in self._arrays.items():
            # repr, so that no name can imitate the shape or the numbers that follow it
            digest.update(f"{name!r} {array.dtype.str} {array.shape}\n".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return self.sha256 == other.sha256 if isinstance(other, Tensors) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __reduce__(self) -> tuple[Callable[..., Tensors], tuple[Any, ...]]:
        return Tensors, (self._arrays,)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name!r} {array.shape}" for name, array in self._arrays.items())
        return f"Tensors({shapes})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _validated,
            serialization=core_schema.plain_serializer_function_ser_schema(_digest, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "object", "format": "tensors"}


def _frozen(name: str, value: Any) -> NDArray[np.float32]:
    """A read-only copy in the machine-independent byte order, so that digests agree everywhere."""
    import numpy as np

    if not hasattr(value, "dtype"):
        raise ValueError(f"{name!r} is no array: numbers are given in an objective file, not in words")
    if hasattr(value, "detach"):  # torch's, which may carry a gradient or lie on another device
        value = value.detach().cpu()
    array = np.asarray(value)
    if array.dtype.newbyteorder("=") != np.float32:
        raise ValueError(f"{name!r} has dtype {array.dtype}, not float32")
    if not np.isfinite(array).all():
        raise ValueError(f"{name!r} holds a number that is not finite")
    array = array.astype("<f4", order="C")
    array += np.float32(0)  # −0 is 0, in the digest too
    array.setflags(write=False)
    return array


def _validated(value: object) -> Tensors:
    if isinstance(value, Tensors):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(
            "arrays cannot be written in a spec: name an objective file (PATH.json) that holds them"
        )
    return Tensors(value)


def _digest(tensors: Tensors) -> dict[str, str]:
    return {"sha256": tensors.sha256}
