"""A keyed choice of texts that depends on what they say, never on the order in which they come."""

import heapq
from collections.abc import Iterable, Iterator
from hashlib import blake2b

from thesphere.errors import InputError


class Sample:
    """Keeps the `limit` different texts with the smallest keyed hashes (bottom-k sampling, Cohen and Kaplan
    2007).

    The same set of texts gives the same sample, whatever the order, the repetitions and the batches; every
    different text has the same chance. Memory holds `limit` texts.
    """

    def __init__(self, limit: int, *, key: int = 0) -> None:
        if limit < 1:
            raise InputError(f"the sample's limit is {limit}; give 1 or more")
        self.limit = limit
        self._key = (key % 2**64).to_bytes(8, "little")
        self._kept: dict[int, bytes] = {}
        self._heap: list[int] = []  # negated hashes: the largest hash that is kept comes first

    def add(self, texts: Iterable[bytes]) -> None:
        """Offer texts to the sample; empty ones are passed over."""
        for text in texts:
            if not text:
                continue
            rank = int.from_bytes(blake2b(text, digest_size=16, key=self._key).digest(), "little")
            if rank in self._kept or (len(self._heap) == self.limit and rank > -self._heap[0]):
                continue
            self._kept[rank] = bytes(text)
            if len(self._heap) < self.limit:
                heapq.heappush(self._heap, -rank)
            else:
                del self._kept[-heapq.heappushpop(self._heap, -rank)]

    def __iter__(self) -> Iterator[bytes]:
        """The chosen texts in the order of their hashes."""
        return (self._kept[rank] for rank in sorted(self._kept))

    def __len__(self) -> int:
        return len(self._kept)
