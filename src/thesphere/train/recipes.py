"""What the entropy models that come with thesphere were trained with."""

from dataclasses import dataclass

from thesphere.train.corpora import SHARES


@dataclass(frozen=True)
class Recipe:
    """A training on the packed corpus.

    Attributes:
        steps: of lanes x window bytes.
        shares: of the bytes read that come from each part of the corpus.
        decay: of the matrices (`train.loop.Settings`).
    """

    steps: int
    shares: dict[str, float]
    lanes: int = 256
    window: int = 512
    decay: float = 0.0


RECIPES = {
    "small": Recipe(36258, SHARES),
    "large": Recipe(
        18507,
        {"prose": 0.45, "dictionary": 0.04, "docs": 0.22, "code": 0.21, "other": 0.08},
        lanes=512,
        decay=0.1,
    ),
}
