"""Random keys and devices, as the earlier systems had them."""

from importlib.util import find_spec
from typing import Literal

from thesphere.errors import InputError
from thesphere.geometry import generator

Device = Literal["cpu", "gpu"]

_SPLIT = 101  # the stream of random numbers that children of a key are drawn from


class RngKey(int):
    """A key of whatever is drawn: `RngKey(42)`, 0 to 2^63 - 1.

    It is a whole number, so it goes wherever a `key` is asked for. The Rust system split its keys and then
    drew from an unseeded generator; here the same key gives the same result.
    """

    def __new__(cls, seed: int = 0) -> "RngKey":
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 1 << 63:
            raise InputError(f"the seed is {seed!r}; give a whole number from 0 to 2^63 - 1")
        return super().__new__(cls, seed)

    @classmethod
    def new(cls, seed: int) -> "RngKey":
        """`RngKey(seed)`."""
        return cls(seed)

    def split(self, count: int = 2) -> "list[RngKey]":
        """`count` new keys, different from each other and always the same for this key."""
        return [RngKey(int(seed)) for seed in generator(self, _SPLIT).integers(0, 1 << 63, count)]


def ensure_backend() -> Device:
    """ "gpu" where JAX is installed and sees an accelerator, else "cpu". Nothing has to be set up: the older one
    started the GPU driver here, and ended the process where there was none."""
    if find_spec("jax") is None:
        return "cpu"
    import jax

    return "cpu" if jax.default_backend() == "cpu" else "gpu"


def init_gpu_device() -> Device:
    """The device that a script passes on as its last argument: `ensure_backend()`.

    Single queries and the build run on the CPU whatever it says; it decides where batches of queries go.
    """
    return ensure_backend()
