"""Which sources belong to which zone of the sphere."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from thesphere.errors import InputError
from thesphere.geometry.zones import CONTENT, INSTRUCTION, QUESTION
from thesphere.types import Points


@dataclass(frozen=True)
class Roles:
    """Patterns (with * ? and [..]) of the names of sources; a source of neither is content, one of both a
    question.

    Attributes:
        instructions: their points lie in the cap around the north pole.
        questions: theirs around the south pole.
    """

    instructions: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.instructions or self.questions)

    def check(self, names: list[str]) -> None:
        """InputError where a pattern matches none of the sources."""
        for pattern in (*self.instructions, *self.questions):
            if not any(fnmatchcase(name, pattern) for name in names):
                raise InputError(f"no source is called {pattern!r}; `thesphere info --sources` lists them")

    def of(self, points: Points) -> np.ndarray:
        """int8 [N], the role of each point: 0 content, 1 instruction, 2 question."""
        roles = np.full(len(points.names), CONTENT, np.int8)
        for role, patterns in ((INSTRUCTION, self.instructions), (QUESTION, self.questions)):
            for number, name in enumerate(points.names):
                if any(fnmatchcase(name, pattern) for pattern in patterns):
                    roles[number] = role
        return roles[points.sources]
