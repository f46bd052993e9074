"""Texts to patches in one call, with the formats that users of the earlier tools know.

Where those tools differ from what they promised, these do what was promised: patches are exact slices of the
UTF-8 bytes and their lengths are theirs, every item has its result in its place, and an empty text has the
same schema.
"""

from collections.abc import Iterable, Mapping, Sized
from typing import Any, Literal, get_args

from thesphere.errors import InputError
from thesphere.patches.boundaries import Rule, Threshold, byte_starts, calibrated, lengths, split_long
from thesphere.patches.entropy import EntropyModel
from thesphere.patches.statistics import patch_statistics
from thesphere.progress import SILENT, Progress

ReturnFormat = Literal["patches", "lengths", "both", "detailed"]
TEXT_FIELDS = ("text", "content", "instruction", "output", "raw")
CALIBRATION_BYTES = 1 << 16


def patch_text(
    text: str | bytes,
    rule: Rule | float | None = None,
    max_patch_length: int = 384,
    return_format: ReturnFormat = "patches",
    target_patch_bytes: float = 8,
    model: EntropyModel | None = None,
) -> list[bytes] | list[int] | dict[str, Any]:
    """The patches of one text.

    Args:
        text: str (taken as UTF-8) or any bytes.
        rule: a boundary rule; a number is a global threshold in nats (higher: longer patches); None: a
            threshold that makes patches of the first 64 KiB about `target_patch_bytes` long.
        max_patch_length: longer patches are split.
        return_format: "patches" list of bytes; "lengths" list of int; "both" a dict of these two; "detailed"
            also with "statistics" (see `patch_statistics`).
        model: the entropy model; None: the light one. The published 1.3354 nats belong to the large model.

    Raises InputError for an unknown format or a text that is neither str nor bytes.
    """
    if return_format not in get_args(ReturnFormat):
        raise InputError(
            f"return_format is one of {', '.join(get_args(ReturnFormat))}; got {return_format!r}"
        )
    if not isinstance(text, str | bytes | bytearray | memoryview):
        raise InputError(f"a text is str or bytes, got {type(text).__name__}")
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
    if model is None:
        from thesphere.patches.light import LightModel

        model = LightModel()
    entropies = model.entropies(data)
    if rule is None:
        rule = calibrated(entropies[:CALIBRATION_BYTES], target_patch_bytes)
    elif isinstance(rule, int | float):
        rule = Threshold(float(rule))
    starts = byte_starts(entropies, rule)
    sizes = split_long(lengths(starts, len(data)), max_patch_length).tolist()
    if return_format == "lengths":
        return sizes
    patches, at = [], 0
    for size in sizes:
        patches.append(data[at : at + size])
        at += size
    if return_format == "patches":
        return patches
    both = {"patches": patches, "lengths": sizes}
    return both if return_format == "both" else both | {"statistics": patch_statistics(sizes)}


def patch_dataset(
    items: Iterable[str | bytes | Mapping[str, Any]],
    rule: Rule | float | None = None,
    max_patch_length: int = 384,
    return_format: ReturnFormat = "patches",
    target_patch_bytes: float = 8,
    model: EntropyModel | None = None,
    text_field: str | None = None,
    progress: Progress = SILENT,
) -> list[list[bytes] | list[int] | dict[str, Any]]:
    """`patch_text` of every item, in order, one result per item.

    An item is text, bytes, or a mapping with the text under `text_field`, else under the first of text,
    content, instruction, output, raw that is not blank. Raises InputError naming the item that has no text.
    """
    if isinstance(items, str | bytes | Mapping):
        raise InputError("patch_dataset takes an iterable of texts: use patch_text for one")
    if model is None:
        from thesphere.patches.light import LightModel

        model = LightModel()
    found = []
    progress.start("patching", len(items) if isinstance(items, Sized) else None, "texts")
    for number, item in enumerate(items):
        text = _text(item, text_field, number)
        found.append(patch_text(text, rule, max_patch_length, return_format, target_patch_bytes, model))
        progress.advance(1)
    progress.finish()
    return found


def _text(item: Any, text_field: str | None, number: int) -> str | bytes:
    if isinstance(item, str | bytes | bytearray | memoryview):
        return item if isinstance(item, str) else bytes(item)
    if isinstance(item, Mapping):
        fields = [text_field] if text_field is not None else TEXT_FIELDS
        values = [item[field] for field in fields if isinstance(item.get(field), str | bytes)]
        for value in values:
            if value.strip():
                return value
        if values:
            return values[0]
        raise InputError(f"item {number} has no text under {', '.join(fields)}: name its text_field")
    raise InputError(f"item {number} is {type(item).__name__}: expected str, bytes or a mapping")
