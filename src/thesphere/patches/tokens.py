"""Bytes as token ids: four specials, then byte b at id b + 4, as the byte-latent models count them."""

import numpy as np

from thesphere.errors import InputError

BOE, BOS, EOS, DELIMITER = 0, 1, 2, 3
OFFSET = 4
VOCABULARY = 256 + OFFSET


def encode(data: bytes | str, add_bos: bool = True, add_eos: bool = True) -> np.ndarray:
    """Ids of `data` (text is taken as UTF-8): int32 [T + add_bos + add_eos], each in [0, 260)."""
    raw = data.encode() if isinstance(data, str) else data
    ids = np.empty(len(raw) + add_bos + add_eos, np.int32)
    ids[add_bos : add_bos + len(raw)] = np.frombuffer(raw, np.uint8)
    ids[add_bos : add_bos + len(raw)] += OFFSET
    if add_bos:
        ids[0] = BOS
    if add_eos:
        ids[-1] = EOS
    return ids


def decode(ids: np.ndarray | list[int], cut_at_eos: bool = False) -> bytes:
    """The bytes behind `ids`; specials vanish. With `cut_at_eos` reading stops at the first EOS.

    Bytes come back, not text: whether they are UTF-8 is the caller's question, and nothing is lost on the
    way. Raises InputError for ids outside [0, 260).
    """
    array = np.asarray(ids)
    if array.size == 0:
        return b""
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"token ids are a row of integers, not {array.dtype} of shape {array.shape}")
    if array.min() < 0 or array.max() >= VOCABULARY:
        raise InputError(f"token ids lie in 0..{VOCABULARY - 1}, got {array.min()}..{array.max()}")
    if cut_at_eos and (array == EOS).any():
        array = array[: np.argmax(array == EOS)]
    return (array[array >= OFFSET] - OFFSET).astype(np.uint8).tobytes()
