"""Which documents of a collection may answer."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from thesphere.errors import InputError
from thesphere.sphere.names import matcher


class Labels(NamedTuple):
    """What a part's documents are picked by, in their order; [] and None for those that were removed.

    Attributes:
        names: every name and uri of each document.
        modalities: of each.
    """

    names: list[list[str]]
    modalities: list[str | None]


@dataclass(frozen=True)
class Filter:
    """Documents are let through that one of the patterns names and that are of one of the modalities.

    Attributes:
        sources: patterns as in `names.matcher`, of names or uris; none lets all through.
        modality: as the readers found them, "text" or "row" for example; none lets all through.
    """

    sources: tuple[str, ...] = ()
    modality: tuple[str, ...] = ()

    @classmethod
    def of(cls, sources: Sequence[str], modality: Sequence[str]) -> "Filter":
        """One from what a user gives: a name alone is as good as a list of one."""
        given = [(each,) if isinstance(each, str) else tuple(each) for each in (sources, modality)]
        for each in given:
            if not all(isinstance(name, str) for name in each):
                raise InputError(f"{each!r} was given to filter by; give names as text")
        return cls(*given)

    def __bool__(self) -> bool:
        return bool(self.sources or self.modality)

    def __str__(self) -> str:
        told = (("sources", self.sources), ("modality", self.modality))
        return "; ".join(f"{name} {', '.join(given)}" for name, given in told if given)

    def as_dict(self) -> dict[str, list[str]] | None:
        """What `--json` prints; None where everything is let through."""
        return {"sources": list(self.sources), "modality": list(self.modality)} if self else None

    @cached_property
    def _matchers(self) -> list[Callable[[str], bool]]:
        return [matcher(pattern) for pattern in self.sources]

    def lets(self, names: Iterable[str], modality: str) -> bool:
        """Whether a document with these names and uris may answer."""
        if self.modality and modality not in self.modality:
            return False
        return not self.sources or any(match(name) for name in names for match in self._matchers)

    def masks(self, labels: Sequence[Labels]) -> list[np.ndarray]:
        """bool [documents] of each part: those that may answer.

        Raises:
            InputError: a pattern names no source, or no source has a modality.
        """
        masks = [np.array([kind is not None for kind in part.modalities], bool) for part in labels]
        if self.sources:
            masks = _both(masks, self._named(labels))
        if self.modality:
            known = {kind for part in labels for kind in part.modalities if kind is not None}
            for kind in self.modality:
                if kind not in known:
                    told = ", ".join(sorted(known)) or "no sources at all"
                    raise InputError(f"no source has the modality {kind!r}; this collection holds {told}")
            of_kind = [np.array([kind in self.modality for kind in part.modalities], bool) for part in labels]
            masks = _both(masks, of_kind)
        return masks

    def _named(self, labels: Sequence[Labels]) -> list[np.ndarray]:
        masks = [np.zeros(len(part.names), bool) for part in labels]
        for pattern, match in zip(self.sources, self._matchers, strict=True):
            found = [np.array([any(map(match, names)) for names in part.names], bool) for part in labels]
            if not any(mask.any() for mask in found):
                raise InputError(f"no source is called {pattern!r}; `thesphere info --sources` lists them")
            masks = [a | b for a, b in zip(masks, found, strict=True)]
        return masks


def _both(some: list[np.ndarray], others: list[np.ndarray]) -> list[np.ndarray]:
    return [a & b for a, b in zip(some, others, strict=True)]
