"""An optional ability of environments: films of bodies that move, for people to look at."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Protocol, TypeAlias, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from mpobench.protocols import Workspace

Vector: TypeAlias = tuple[float, float, float]
Rotation: TypeAlias = tuple[float, float, float, float]
"""A unit quaternion (w, x, y, z)."""

FILM_SECONDS = 10.0
"""Length of a film, unless the episode ends before."""


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Shape(_Plain):
    """A rigid shape that belongs to a link.

    Attributes:
        kind: Form. Capsules and cylinders lie along their own z axis.
        link: Index of the link that carries it; -1 for the ground.
        position: Position in the link's frame, in metres.
        rotation: Rotation in the link's frame.
        size: Sphere: radius. Capsule, cylinder: radius, half length. Box, plane: half lengths; a plane of 0 is endless.
        color: Red, green and blue, in [0, 1].
    """

    kind: Literal["plane", "sphere", "capsule", "cylinder", "box"]
    link: Annotated[int, Field(ge=-1)]
    position: Vector
    rotation: Rotation
    size: Vector
    color: Vector


class Film(_Plain):
    """The poses of an episode's bodies.

    Attributes:
        shapes: Shapes.
        links: Names of the links.
        frame_seconds: Time between two frames.
        positions: Position of each link in each frame, in metres.
        rotations: Rotation of each link in each frame.
        earned: True return until each frame.
        ended: Whether the episode ended with the last frame: the agent fell.
    """

    shapes: tuple[Shape, ...]
    links: tuple[str, ...]
    frame_seconds: Annotated[float, Field(gt=0)]
    positions: tuple[tuple[Vector, ...], ...]
    rotations: tuple[tuple[Rotation, ...], ...]
    earned: tuple[float, ...]
    ended: bool


@runtime_checkable
class HasFilms(Protocol):
    """An environment whose episodes can be looked at."""

    def film(self, actor: Any, episode: int, seconds: float, workspace: Workspace) -> Film:
        """One episode.

        Args:
            actor: :data:`mpobench.ORIGINAL` or :data:`mpobench.TARGET` for an agent, or a policy that the environment
                trained.
            episode: Number of the episode: films of one number begin in the same state.
            seconds: Length, unless the episode ends before.
            workspace: Place of compiled programs.
        """
