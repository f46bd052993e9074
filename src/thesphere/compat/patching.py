"""Patching as the earlier JAX system called it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from thesphere.patches import Monotonic, patch_statistics
from thesphere.patches import patch_dataset as dataset_of
from thesphere.patches import patch_text as text_of
from thesphere.patches.texts import ReturnFormat
from thesphere.progress import SILENT, Progress


def patch_text(
    text: str | bytes,
    threshold: float | None = None,
    max_patch_length: int = 384,
    device: str | None = None,
    return_format: ReturnFormat = "patches",
) -> list[bytes] | list[int] | dict[str, Any]:
    """The patches of one text.

    Args:
        text: str (taken as UTF-8) or bytes.
        threshold: a patch starts where the entropy rises by more than this many nats; a lower one makes shorter
            patches (the older text said the opposite). None: patches of about 8 bytes. The older 1.35 and 1.55
            belonged to a model of 100 million parameters; the one used here needs no weights and is less sharp.
        max_patch_length: longer patches are split, bytes.
        device: accepted, and without effect.
        return_format: "patches", "lengths", "both" or "detailed" (with "statistics").

    Patches are exact slices and add up to the text; the older ones were off by one byte and lost the last one.
    """
    return text_of(text, _rule(threshold), max_patch_length, return_format)


def patch_dataset(
    dataset: Iterable[str | bytes | Mapping[str, Any]],
    threshold: float | None = None,
    max_patch_length: int = 384,
    device: str | None = None,
    batch_size: int = 1,
    return_format: ReturnFormat = "patches",
    progress: Progress = SILENT,
    text_field: str | None = None,
) -> list[list[bytes] | list[int] | dict[str, Any]]:
    """`patch_text` of every item, one result per item in order (the older one dropped blank ones). `batch_size`
    is accepted, and without effect."""
    rule = _rule(threshold)
    return dataset_of(
        dataset, rule, max_patch_length, return_format, text_field=text_field, progress=progress
    )


@dataclass(frozen=True)
class PatchConfig:
    """Attributes as the arguments of `patch_text`; earlier threshold 1.55, see there."""

    threshold: float | None = None
    max_patch_length: int = 384
    device: str | None = None
    return_format: ReturnFormat = "detailed"


@dataclass(frozen=True)
class PatchIngestionPipeline:
    """Patches with their statistics, `myelination_ratio` and `myelination_density` among them.

    Attributes:
        config: of the patches.
    """

    config: PatchConfig = field(default_factory=PatchConfig)

    def ingest_text(self, text: str | bytes) -> Any:
        """The patches of one text, in the format of the config; "detailed" ones also have the two myelination
        figures beside their statistics, where the older ones stood."""
        return self._told(patch_text(text, *self._settings()))

    def ingest_dataset(
        self,
        dataset: Iterable[str | bytes | Mapping[str, Any]],
        batch_size: int = 8,
        progress: Progress = SILENT,
    ) -> list[Any]:
        """`ingest_text` of every item. `batch_size` is accepted, and without effect."""
        threshold, longest, _, form = self._settings()
        found = patch_dataset(dataset, threshold, longest, return_format=form, progress=progress)
        return [self._told(one) for one in found]

    def prepare_for_embedding(self, patches: Iterable[bytes]) -> dict[str, Any]:
        """{"patches", "lengths", "statistics"}: the patches are what an encoder takes. The older one raised
        NotImplementedError."""
        held = [bytes(patch) for patch in patches]
        sizes = [len(patch) for patch in held]
        return {"patches": held, "lengths": sizes, "statistics": patch_statistics(sizes)}

    def _settings(self) -> tuple[float | None, int, str | None, ReturnFormat]:
        config = self.config
        return config.threshold, config.max_patch_length, config.device, config.return_format

    def _told(self, found: Any) -> Any:
        if not (isinstance(found, dict) and "statistics" in found):
            return found
        figures = found["statistics"]
        return found | {name: figures[name] for name in ("myelination_ratio", "myelination_density")}


def _rule(threshold: float | None) -> Monotonic | None:
    return None if threshold is None else Monotonic(float(threshold))
