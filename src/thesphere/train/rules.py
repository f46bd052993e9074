"""What every training may be asked for, and what it may not."""

from typing import Protocol

from thesphere.errors import InputError

MOST = 1 << 31
Rule = tuple[bool, str]
"""Whether it is kept, and what is told where it is not."""


class Wish(Protocol):
    """What all trainings are asked for."""

    @property
    def steps(self) -> int:
        """To take; 0: as many as fit in `minutes`."""
        ...

    @property
    def minutes(self) -> float:
        """Of training, where `steps` is 0."""
        ...

    @property
    def rate(self) -> float:
        """Share of the usual learning rates."""
        ...

    @property
    def seed(self) -> int:
        """Of what is drawn."""
        ...


def need(wish: Wish, *own: Rule) -> None:
    """Refuse a wish that cannot be trained with.

    Args:
        own: the rules of its kind of model, after those of all.

    Raises:
        InputError: tells of the first rule that is broken.
    """
    rules = (
        (0 <= wish.steps < MOST, f"{wish.steps} steps cannot be taken; give 1 to {MOST - 1:,}"),
        (0 < wish.minutes <= 1e5, f"{wish.minutes} minutes cannot be kept to; give more than 0"),
        (0 < wish.rate <= 100, f"a rate of {wish.rate} is not possible; give a share of the usual one, 0.3"),
        (0 <= wish.seed < MOST, f"a seed of {wish.seed} is not possible; give 0 to {MOST - 1:,}"),
    )
    for kept, told in (*rules, *own):
        if not kept:
            raise InputError(told)
