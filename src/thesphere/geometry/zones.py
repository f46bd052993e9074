"""Zones: the bands of colatitude that belong to content, to instructions and to questions.

Instructions live in a cap around the north pole, questions (with their answers) around the south pole, content
in the band between. In the earlier system the zones' energies, strengths and soft constraints had no effect and
the caps were empty for every real embedding; here a role's points are kept inside its zone.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thesphere.errors import InputError
from thesphere.geometry.coordinates import angles, to_cartesian, to_spherical
from thesphere.geometry.namespace import Array, floats, namespace

CONTENT, INSTRUCTION, QUESTION = 0, 1, 2
ROLES = {
    "content": CONTENT,
    "torus": CONTENT,
    "instruction": INSTRUCTION,
    "north": INSTRUCTION,
    "question": QUESTION,
    "qa": QUESTION,
    "qa_pairs": QUESTION,
    "south": QUESTION,
}


@dataclass(frozen=True)
class Zones:
    """Three zones split at `pole_angle` from either pole.

    Attributes:
        pole_angle: half-angle p of both caps, radians, 0.001 to pi/2 - 0.001; pi/12 as before.
    """

    pole_angle: float = math.pi / 12
    content: ClassVar[int] = CONTENT
    instruction: ClassVar[int] = INSTRUCTION
    question: ClassVar[int] = QUESTION

    def __post_init__(self) -> None:
        if not 0.001 <= self.pole_angle <= math.pi / 2 - 0.001:
            raise InputError(
                f"the poles' half-angle is {self.pole_angle}; give 0.001 to pi/2 - 0.001, or no zones at all"
            )

    @property
    def ranges(self) -> np.ndarray:
        """float64 [3, 2]: the least and the largest colatitude of content, instruction and question."""
        p, south = self.pole_angle, math.pi - self.pole_angle
        return np.array([[p, south], [0.0, p], [south, math.pi]])

    @property
    def centres(self) -> np.ndarray:
        """float64 [3]: the colatitude in the middle of each zone."""
        return self.ranges.mean(axis=1)

    def zone_of(self, positions: Array) -> Array:
        """The zone (0 content, 1 instruction, 2 question) of directions [..., 3]: int32 [...]. The parallels
        between zones belong to content."""
        theta, _ = angles(positions)
        xp = namespace(theta)
        south = xp.where(theta > math.pi - self.pole_angle, QUESTION, CONTENT)
        return xp.where(theta < self.pole_angle, INSTRUCTION, south).astype(xp.int32)

    def constrain(self, positions: Array, roles: Array) -> Array:
        """Each point moved along its meridian to the nearest place that its role allows: [..., 3].

        Points already inside stay as they are, to the bit. Moved ones (all within 8 units of rounding of a
        limit are) come to lie 16 units inside, so that the zone read back from the rounded vector, by NumPy
        or JAX, is the role. Lengths are kept. A point on the axis leaves it along phi = 0. float16 is too
        coarse for narrow caps and comes back as float32.

        Args:
            positions: directions [..., 3].
            roles: integers [...], 0 content, 1 instruction, 2 question; broadcast against the positions.

        Raises:
            InputError: another role, or (NumPy only) a position that is zero or not finite.
        """
        xp, positions = floats(positions)
        xp = namespace(positions, roles)
        positions = positions.astype(xp.promote_types(positions.dtype, xp.float32))
        roles = xp.asarray(roles)
        roles = roles if roles.size else roles.astype(int)  # an empty list is one of floats
        length, theta, phi = to_spherical(positions)
        if xp is np:
            if roles.dtype.kind not in "iu" or not np.isin(roles, (CONTENT, INSTRUCTION, QUESTION)).all():
                raise InputError("a role is none of 0 (content), 1 (instruction), 2 (question)")
            if not np.all(np.isfinite(length) & (length > 0)):
                raise InputError("a position is zero or not finite; it has no zone")
        inset = 8 * float(xp.finfo(positions.dtype).eps) * np.array([[1, -1], [0, -1], [1, 0]])
        safe = xp.asarray(self.ranges + inset, positions.dtype)[roles]
        limits = xp.asarray(self.ranges + 2 * inset, positions.dtype)[roles]
        moved = to_cartesian(length, xp.clip(theta, limits[..., 0], limits[..., 1]), phi)
        inside = (safe[..., 0] <= theta) & (theta <= safe[..., 1])
        return xp.where(inside[..., None], positions, moved)


def role_of(name: str) -> int:
    """The role of a zone's name: content or torus 0, instruction or north 1, question, qa, qa_pairs or south 2.

    Raises:
        InputError: another name.
    """
    if name.lower() not in ROLES:
        raise InputError(f"there is no zone {name!r}; give one of {', '.join(ROLES)}")
    return ROLES[name.lower()]
