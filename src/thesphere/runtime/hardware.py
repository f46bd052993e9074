"""What this machine offers, and the tier that follows from it, with the reason for each decision.

The tiers are those of the earlier Rust system. It asked a graphics API for an adapter and called a machine that
had none "unknown"; here the processor is always known, and an accelerator is looked for only when asked: finding
one means importing JAX, which takes a second and memory on the device.
"""

import os
import platform
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from thesphere.runtime.threads import workers

Tier = Literal[
    "cpu-only",
    "apple-silicon",
    "nvidia-consumer",
    "nvidia-hopper",
    "nvidia-blackwell",
    "nvidia-spark",
    "amd-rdna",
    "unknown",
]

# Best first: (level, flags that /proc/cpuinfo must all name, what numkong calls the same capability).
LEVELS = (
    ("amx-int8", {"amx_int8", "amx_tile"}, "sapphireamx"),
    ("avx512-vnni", {"avx512_vnni", "avx512vl"}, "icelake"),
    ("avx-vnni", {"avx_vnni", "avx2"}, "alder"),
    ("avx512", {"avx512f", "avx512bw"}, "skylake"),
    ("avx2", {"avx2", "fma"}, "haswell"),
    ("neon-dotprod", {"asimddp"}, "neonsdot"),
    ("neon", {"asimd"}, "neon"),
)


@dataclass(frozen=True)
class Hardware:
    """Attributes:
    tier: one of `Tier`.
    cores: threads that this process may use.
    memory_bytes: what it may use of the machine's memory, 0 where that cannot be found out.
    simd: the best instructions for int8 products, one of `LEVELS` or "baseline".
    accelerator: its name, "" where there is none or none was asked for.
    accelerator_bytes: its memory, 0 where unknown.
    reasons: one sentence per decision.
    """

    tier: Tier
    cores: int
    memory_bytes: int
    simd: str
    accelerator: str
    accelerator_bytes: int
    reasons: tuple[str, ...]


def hardware(*, accelerator: bool = False) -> Hardware:
    """Examine this machine.

    Args:
        accelerator: also look for a GPU, through JAX if that is installed.

    Raises:
        InputError: THESPHERE_THREADS is no number of threads.
    """
    cores, memory = workers(), _memory()
    simd, simd_reason = _simd()
    origin = (
        "THESPHERE_THREADS says so" if "THESPHERE_THREADS" in os.environ else "the process may run on them"
    )
    reasons = [
        f"{cores} thread{'s' * (cores != 1)}: {origin}.",
        f"{memory / 2**30:.1f} GiB of memory: the machine's, or its control group's limit if that is lower."
        if memory
        else "Memory: this system does not tell how much there is.",
        simd_reason,
    ]
    name, kind, size = "", "", 0
    if accelerator:
        name, kind, size, reason = _accelerator()
    else:
        reason = "No accelerator was asked for, so none was looked for."
    tier, because = tier_of(name, kind, platform.system(), platform.machine())
    return Hardware(tier, cores, memory, simd, name, size, (*reasons, reason, because))


def tier_of(name: str, kind: str, system: str, machine: str) -> tuple[Tier, str]:
    """The tier and why.

    Args:
        name: of the accelerator as its driver gives it, "" for none.
        kind: JAX's platform: "cuda", "gpu", "rocm", "metal", ...
        system, machine: as from `platform`.
    """
    upper = name.upper()
    apple = system == "Darwin" and machine == "arm64"
    if not name:
        if apple:
            return "apple-silicon", "Tier apple-silicon: macOS on arm64, where all memory is shared."
        return "cpu-only", f"Tier cpu-only: {system} on {machine}, without an accelerator."
    if kind.lower() == "metal" or upper.startswith("APPLE"):
        return "apple-silicon", f"Tier apple-silicon: the accelerator is {name}."
    if kind.lower() == "rocm" or upper.startswith(("AMD", "RADEON")):
        return "amd-rdna", f"Tier amd-rdna: the accelerator is {name}."
    for tier, marks in _NVIDIA:
        mark = next((mark for mark in marks if mark in upper), None)
        if mark:
            return tier, f"Tier {tier}: {name} is named {mark}."
    if kind.lower() in ("cuda", "gpu"):
        return (
            "nvidia-consumer",
            f"Tier nvidia-consumer: {name} is none of the data-centre cards that are known.",
        )
    return "unknown", f"Tier unknown: nothing is known of {name} ({kind})."


_NVIDIA: tuple[tuple[Tier, tuple[str, ...]], ...] = (
    ("nvidia-hopper", ("H100", "H200", "H800", "A100", "A800")),
    ("nvidia-blackwell", ("B100", "B200", "B300")),
    ("nvidia-spark", ("GB10", "GRACE", "DGX SPARK")),
)


def simd_level(flags: set[str]) -> str:
    """The best level that the flags of /proc/cpuinfo allow, "baseline" if none."""
    return next((level for level, needed, _ in LEVELS if needed <= flags), "baseline")


def _simd() -> tuple[str, str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    if line:
        level = simd_level(set(line[1].split()))
        return level, f"Instructions {level}: the best for int8 that /proc/cpuinfo names."
    if find_spec("numkong") is None:
        return "baseline", "Instructions baseline: neither /proc/cpuinfo nor numkong is here to tell."
    import numkong

    able: dict[str, bool] = numkong.get_capabilities()
    level = next((level for level, _, known in LEVELS if able.get(known)), "baseline")
    return level, f"Instructions {level}: the best for int8 that numkong finds."


def _memory() -> int:
    """Bytes: physical memory, or the control group's limit; 0 where neither is told."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        total = 0
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limit = Path(file).read_text().strip()
        except OSError:
            continue
        if limit.isdecimal() and 0 < int(limit) < (total or 1 << 62):
            return int(limit)
    return max(total, 0)


def _accelerator() -> tuple[str, str, int, str]:
    """(name, JAX's platform, bytes, reason); an empty name if there is none."""
    if find_spec("jax") is None:
        return "", "", 0, "No accelerator: JAX, which would drive it, is not installed."
    import jax

    try:
        devices: list[Any] = jax.devices()
    except RuntimeError as error:
        return "", "", 0, f"No accelerator: JAX could not start one ({error})."
    found = next((device for device in devices if device.platform != "cpu"), None)
    if found is None:
        return "", "", 0, "No accelerator: JAX sees processors only."
    size = int((found.memory_stats() or {}).get("bytes_limit", 0))
    return found.device_kind, found.platform, size, f"Accelerator {found.device_kind}: JAX's first device."
