"""What the machine offers, why, and the settings that follow."""

import subprocess
import sys
import threading
import time
from importlib.util import find_spec

import pytest

from thesphere.errors import InputError
from thesphere.runtime import BudgetConfig, Policy, RuntimeConfig, Tier, hardware, workers
from thesphere.runtime.hardware import LEVELS, simd_level, tier_of
from thesphere.runtime.policy import PRECISIONS
from thesphere.runtime.threads import spread

TIERS = Tier.__args__


def test_auto_has_the_names_people_know_and_a_reason_for_each_decision() -> None:
    config = RuntimeConfig.auto()
    assert config.policy.tier in TIERS and config.policy.profile
    assert config.threads == workers()
    assert 0 < config.budget.total_bytes and 1 <= config.budget.effective_max_cones <= config.budget.max_cones
    assert len(config.reasons) == 7 and all(reason.endswith(".") for reason in config.reasons)
    assert config.policy.tier in "".join(config.reasons) and config.policy.profile in "".join(config.reasons)


def test_threads_say_where_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THESPHERE_THREADS", "3")
    found = hardware()
    assert found.cores == 3 and "THESPHERE_THREADS" in found.reasons[0]
    monkeypatch.delenv("THESPHERE_THREADS")
    assert "THESPHERE_THREADS" not in hardware().reasons[0]


def test_jax_is_imported_only_when_asked() -> None:
    code = (
        "import sys; from thesphere.runtime import RuntimeConfig as R; R.auto(); print('jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.skipif(find_spec("jax") is None, reason="needs jax")
def test_an_accelerator_is_named_or_its_absence_explained() -> None:
    found = hardware(accelerator=True)
    assert bool(found.accelerator) == (not any(line.startswith("No accelerator") for line in found.reasons))


def test_a_missing_jax_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["thesphere.runtime.hardware"], "find_spec", lambda name: None)
    found = hardware(accelerator=True)
    assert found.accelerator == "" and any("not installed" in reason for reason in found.reasons)


@pytest.mark.parametrize(
    ("name", "kind", "system", "machine", "tier"),
    [
        ("", "", "Linux", "x86_64", "cpu-only"),
        ("", "", "Darwin", "x86_64", "cpu-only"),
        ("", "", "Darwin", "arm64", "apple-silicon"),
        ("Apple M3", "METAL", "Darwin", "arm64", "apple-silicon"),
        ("NVIDIA H100 80GB HBM3", "gpu", "Linux", "x86_64", "nvidia-hopper"),
        ("NVIDIA H200", "gpu", "Linux", "x86_64", "nvidia-hopper"),
        ("NVIDIA A100-SXM4-40GB", "gpu", "Linux", "x86_64", "nvidia-hopper"),
        ("NVIDIA B200", "cuda", "Linux", "x86_64", "nvidia-blackwell"),
        ("NVIDIA GB10", "gpu", "Linux", "aarch64", "nvidia-spark"),
        ("NVIDIA GeForce RTX 5090", "gpu", "Linux", "x86_64", "nvidia-consumer"),
        ("AMD Radeon RX 7900 XTX", "gpu", "Linux", "x86_64", "amd-rdna"),
        ("gfx1100", "rocm", "Linux", "x86_64", "amd-rdna"),
        ("TPU v5e", "tpu", "Linux", "x86_64", "unknown"),
    ],
)
def test_tiers(name: str, kind: str, system: str, machine: str, tier: str) -> None:
    found, why = tier_of(name, kind, system, machine)
    assert found == tier and tier in why


def test_simd_levels() -> None:
    for level, flags, _ in LEVELS:
        assert simd_level(flags) == level
    everything = set().union(*(flags for _, flags, _ in LEVELS))
    assert simd_level(everything) == "amx-int8" and simd_level({"sse2"}) == "baseline"


def test_precision_is_the_same_on_every_tier_and_only_known_operations_have_one() -> None:
    for tier in TIERS:
        policy = Policy.for_tier(tier)
        assert {name: policy.precision(name) for name in PRECISIONS} == PRECISIONS
        assert (
            policy.precision("ising")
            == policy.precision("harmonics")
            == policy.precision("recheck")
            == "float64"
        )
        assert policy.precision("similarity") == "float32" and policy.precision("scan") == "int8"
    with pytest.raises(InputError, match="operation 'sorting' is unknown"):
        Policy.for_tier("cpu-only").precision("sorting")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="tier 'abacus' is unknown"):
        Policy.for_tier("abacus")  # type: ignore[arg-type]


def test_profiles_follow_tiers() -> None:
    assert (
        Policy.for_tier("cpu-only").profile == Policy.for_tier("apple-silicon").profile == "cpu-fp64-strict"
    )
    assert Policy.for_tier("nvidia-consumer").profile == Policy.for_tier("amd-rdna").profile == "gpu-mixed"
    assert Policy.for_tier("nvidia-hopper").profile == "gpu-hpc-fp64"


def test_budgets() -> None:
    assert BudgetConfig.for_tier("nvidia-hopper").total_bytes == 64 << 30
    assert BudgetConfig.for_tier("cpu-only", 1 << 30).total_bytes == 1 << 28
    assert BudgetConfig.for_tier("unknown") == BudgetConfig.dev()
    assert BudgetConfig.large_scale().max_cones == 32
    assert BudgetConfig(total_bytes=3 << 16).effective_max_cones == 3
    assert BudgetConfig(total_bytes=0).effective_max_cones == 1
    assert BudgetConfig(min_cone_bytes=0).effective_max_cones == 8
    for tier in TIERS:
        assert BudgetConfig.for_tier(tier).effective_max_cones >= 4


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("total_bytes", -1),
        ("total_bytes", 1.5),
        ("max_cones", 0),
        ("max_cones", True),
        ("min_cone_bytes", -1),
        ("peak_threshold", float("nan")),
        ("min_peak_separation", 4.0),
    ],
)
def test_budgets_refuse(option: str, value: object) -> None:
    with pytest.raises(InputError, match=option):
        BudgetConfig(**{option: value})  # type: ignore[arg-type]


def test_spread_keeps_the_order_shares_the_work_and_raises_what_is_raised():
    used = set()

    def square(number: int) -> int:
        used.add(threading.get_ident())
        time.sleep(0.002)
        return number * number

    for threads in (1, 2, 5):
        used.clear()
        assert spread(square, range(20), threads) == [n * n for n in range(20)]
        assert threading.get_ident() in used and len(used) <= threads
        assert threads == 1 or len(used) > 1
    assert spread(square, [], 3) == []

    def fails(number: int) -> int:
        time.sleep(0.002)
        if number == 7:
            raise ValueError("seven")
        return number

    for threads in (1, 3):
        with pytest.raises(ValueError, match="seven"):
            spread(fails, range(10), threads)
