"""Which sources belong to which zone of the sphere."""

from dataclasses import dataclass

import numpy as np

from thesphere.errors import InputError
from thesphere.geometry.zones import CONTENT, INSTRUCTION, QUESTION
from thesphere.sphere.names import matcher
from thesphere.types import Points


@dataclass(frozen=True)
class Roles:
    """Patterns of the names of sources, as in `names.matcher`; a source of neither is content, one of both a
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
            if not any(map(matcher(pattern), names)):
                raise InputError(f"no source is called {pattern!r}; `thesphere info --sources` lists them")

    def of(self, points: Points) -> np.ndarray:
        """int8 [N], the role of each point: 0 content, 1 instruction, 2 question."""
        roles = np.full(len(points.names), CONTENT, np.int8)
        for role, patterns in ((INSTRUCTION, self.instructions), (QUESTION, self.questions)):
            matchers = [matcher(pattern) for pattern in patterns]
            for number, name in enumerate(points.names):
                if any(match(name) for match in matchers):
                    roles[number] = role
        return roles[points.sources]
