"""What a collection was made with, kept in its catalog; fixed for its life except where `compact` refits."""

from dataclasses import asdict, dataclass, fields

from thesphere.errors import FormatError, InputError
from thesphere.store.catalog import Setting

UNITS = ("passage", "patch", "row")


@dataclass(frozen=True)
class Settings:
    """Settings of a collection.

    Attributes:
        encoder: name of what makes embeddings: "lsa", "minilm", ..., "none", or "arrays" (they come from
            outside).
        encoder_part: folder of the part that holds the encoder's fitted state; "" while there is none.
        places_part: folder of the part that holds where the points lie; "" before `fill`.
        roots_part: folder of the part that holds the index; "" while there is none.
        roots_metric: what the index is for, "cosine" or "ip".
        fitted_points: points that were there when the encoder was last fitted.
        entropy: id of the entropy model that cuts patches.
        points: what a point is: "passage", "patch" or "row" (one row of an import).
        passage_bytes: the most that a passage holds.
        target_patch_bytes: mean patch length that the entropy threshold is calibrated to.
        copy: whether the original bytes are kept.
        width: columns of imported embeddings; 0 if there are none.
    """

    encoder: str = "sphere"
    encoder_part: str = ""
    places_part: str = ""
    roots_part: str = ""
    roots_metric: str = "cosine"
    fitted_points: int = 0
    entropy: str = ""
    points: str = "passage"
    passage_bytes: int = 512
    target_patch_bytes: float = 8.0
    copy: bool = True
    width: int = 0

    def __post_init__(self) -> None:
        if self.points not in UNITS:
            raise InputError(f"points is {self.points!r}; choose one of {', '.join(UNITS)}")
        if not 64 <= self.passage_bytes <= 4096:
            raise InputError(f"passage_bytes is {self.passage_bytes}; choose 64 to 4096")
        if not 1 <= self.target_patch_bytes <= 384:
            raise InputError(f"target_patch_bytes is {self.target_patch_bytes}; choose 1 to 384")

    def as_dict(self) -> dict[str, Setting]:
        """For the catalog, which keeps texts and numbers."""
        return {
            name: int(value) if isinstance(value, bool) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Setting]) -> "Settings":
        """From the catalog; unknown names belong to later versions of the same schema and are left alone."""
        kept = {}
        for each in fields(cls):
            if each.name in values:
                try:
                    kept[each.name] = type(each.default)(values[each.name])
                except (TypeError, ValueError) as error:
                    raise FormatError(
                        f"the collection's setting {each.name} is {values[each.name]!r}"
                    ) from error
        return cls(**kept)
