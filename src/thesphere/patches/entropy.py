"""What a byte entropy model is to the rest of the library."""

from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class EntropyStream(Protocol):
    """One source on its way through a model. Streams share no state with each other."""

    def push(self, data: bytes) -> np.ndarray:
        """Entropies of exactly the pushed bytes: float32 [len(data)], nats, each in [0, ln 260].

        Entry i is the uncertainty about the byte after data[i], given everything pushed so far up to data[i].
        State is carried, so any chunking of a source gives identical values.
        """
        ...


@runtime_checkable
class EntropyModel(Protocol):
    """A model of the next byte. Boundaries are a function of the source's bytes and of `id` alone."""

    @property
    def id(self) -> str:
        """Name and version; changes whenever an entropy could change."""
        ...

    def stream(self) -> EntropyStream:
        """A fresh stream for one source; cheap."""
        ...

    def entropies(self, data: bytes) -> np.ndarray:
        """float32 [T], nats: what one stream says when all of `data` is pushed."""
        ...
