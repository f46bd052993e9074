"""The sizes of the sphere encoders and the tensors of their files: one table for training and for running.

Both encoders are one network (nn/sphere.py): rows of hashed grams (nn/grams.py), then layers over the patches of
a window. In `SPHERE` a layer is attention and a hidden layer; in `LIGHT` it mixes some neighbours through a gate.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from thesphere.errors import FormatError
from thesphere.nn.grams import MOST_CHARACTERS, Rows
from thesphere.nn.shape import MOST_WIDTH, check_tensors

WINDOW = 256  # patches that see each other; a longer text is a mean of windows, by their patches
EPSILON = 1e-6


@dataclass(frozen=True)
class SphereShape:
    """Sizes of the network.

    Args:
        width: D of the residual stream, a multiple of 16.
        layers: one after the other.
        heads: of attention, divided evenly into `cones`; 0: layers mix `reach` neighbours through a gate instead.
        cones: groups of heads that share keys and values; also the classes of the cone affinity.
        hidden: width inside an attention layer's second half.
        reach: neighbours that a gated layer mixes, itself among them; odd.
        rows: of the table of hashed grams.
        table: W, its columns.
        shells: classes of the shell distribution and of the rarity hint.
        embedding: columns of what comes out.
    """

    width: int = 384
    layers: int = 4
    heads: int = 12
    cones: int = 4
    hidden: int = 1024
    reach: int = 5
    rows: Rows = Rows(30000, 31000, 1000)
    table: int = 128
    shells: int = 64
    embedding: int = 384

    @property
    def head(self) -> int:
        """Columns of one head."""
        return self.width // self.heads

    def layer_matrices(self) -> dict[str, tuple[int, int]]:
        """(outputs, inputs) of the matrices of each layer, by name."""
        d = self.width
        if not self.heads:
            return {"in": (2 * d, d), "out": (d, d)}
        keys = self.cones * self.head
        return {
            "attend": (d + 2 * keys, d),
            "out": (d, d),
            "up": (self.hidden, d),
            "down": (d, self.hidden),
        }

    def layer_vectors(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what else each layer has, float32, by name."""
        d = self.width
        if not self.heads:
            return {"norm": (d,), "kernel": (self.reach, d)}
        return {"norm": (d,), "slope": (self.heads,), "wide_norm": (d,)}

    def matrices(self) -> dict[str, tuple[int, int]]:
        """(outputs, inputs) of every int8 matrix, by name."""
        found = {"input": (self.width, 2 * self.table)}
        for layer in range(self.layers):
            found |= {f"{layer}.{name}": sizes for name, sizes in self.layer_matrices().items()}
        return found | {
            "raw": (self.embedding, self.width),
            "shells": (self.shells, self.width),
            "cones": (self.cones, self.width),
        }

    def vectors(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the float32 tensors, by name, without the scales of matrices."""
        found = {"place": (self.width,)}
        for layer in range(self.layers):
            found |= {f"{layer}.{name}": sizes for name, sizes in self.layer_vectors().items()}
        return found | {
            "norm": (self.width,),
            "prominence": (self.width,),
            "prominence.bias": (1,),
            "shells.bias": (self.shells,),
            "cones.bias": (self.cones,),
        }

    def tensors(self) -> dict[str, tuple[type, tuple[int, ...]]]:
        """(type, shape) of every tensor of the file, by name.

        The table is int8 in steps of 1/127; `rarity` is the shell hint of each row of the word region; matrices
        are int8 [outputs, inputs] in steps of `.scale` [outputs]; `rows` are the sizes of the regions.
        """
        found = {
            "rows": (np.int64, (3,)),
            "table": (np.int8, (self.rows.total, self.table)),
            "rarity": (np.uint8, (self.rows.words,)),
        }
        for name, sizes in self.matrices().items():
            found |= {name: (np.int8, sizes), f"{name}.scale": (np.float32, sizes[:1])}
        return found | {name: (np.float32, sizes) for name, sizes in self.vectors().items()}

    @property
    def products(self) -> int:
        """Multiply-adds per patch in matrices, without the attention itself, which depends on the window."""
        return sum(
            a * b for name, (a, b) in self.matrices().items() if name not in ("raw", "shells", "cones")
        )


SPHERE = SphereShape()
LIGHT = SphereShape(layers=6, heads=0, hidden=0, rows=Rows(19000, 20000, 1000))


def places(shape: SphereShape) -> tuple[np.ndarray, np.ndarray]:
    """(of the place in a window [WINDOW, D / 2], of the shell hint [shells, D / 2]), float32.

    Sines, then cosines: of the place at D / 4 geometric frequencies from 1 to 1/10,000; of whole multiples of the
    shell's angle, which rises from 0 at the innermost shell.
    """
    count = shape.width // 4
    frequency = 10000.0 ** (-np.arange(count) / count)
    place = np.arange(WINDOW)[:, None] * frequency
    shell = np.arange(shape.shells)[:, None] * (np.pi / shape.shells) * np.arange(count)
    return tuple(np.concatenate([np.sin(a), np.cos(a)], 1).astype(np.float32) for a in (place, shell))  # type: ignore[return-value]


def lengthening() -> np.ndarray:
    """float32 [MOST_CHARACTERS + 1]: 1 + ln(1 + n) / 10, by which the input of a patch of n characters grows."""
    return (1 + 0.1 * np.log1p(np.arange(MOST_CHARACTERS + 1))).astype(np.float32)


def checked_sphere_shape(tensors: Mapping[str, np.ndarray], where: str) -> SphereShape:
    """The shape of a file's tensors, all of which are as they must be.

    Raises:
        FormatError: one is missing, is too many, has another type or shape, or holds what is no number.
    """
    try:
        rows = Rows(*(int(n) for n in tensors["rows"]))
        width, double = tensors["input"].shape
        slopes = tensors.get("0.slope")
        shape = SphereShape(
            width=width,
            layers=sum(name.endswith(".norm") for name in tensors),
            heads=0 if slopes is None else len(slopes),
            cones=len(tensors["cones"]),
            hidden=0 if slopes is None else len(tensors["0.up"]),
            reach=SphereShape.reach if slopes is not None else len(tensors["0.kernel"]),
            rows=rows,
            table=double // 2,
            shells=len(tensors["shells"]),
            embedding=len(tensors["raw"]),
        )
    except KeyError as error:
        raise FormatError(f"{where} holds no sphere encoder: the tensor {error} is missing") from None
    except (TypeError, ValueError) as error:
        raise FormatError(f"{where} holds no sphere encoder: {error}") from None
    if (
        min(rows) < 1 or not 16 <= width <= MOST_WIDTH or width % 16 or shape.layers < 1
        or shape.hidden > MOST_WIDTH or double > MOST_WIDTH or double % 2 or shape.shells > 256
        or not shape.cones or shape.reach % 2 == 0
        or (shape.heads and (shape.heads % shape.cones or width % shape.heads))
    ):  # fmt: skip
        raise FormatError(f"{where}: {shape} cannot be run")
    check_tensors(tensors, shape.tensors(), where)
    if tensors["rarity"].max() >= shape.shells:
        raise FormatError(f"{where}: rarity names shell {tensors['rarity'].max()}; there are {shape.shells}")
    return shape


def random_weights(shape: SphereShape, seed: int) -> dict[str, np.ndarray]:
    """Tensors of a file with random weights of sensible sizes, for tests and measurements."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, (kind, sizes) in shape.tensors().items():
        if name == "rows":
            value = np.array(shape.rows)
        elif name == "rarity":
            value = rng.integers(0, shape.shells, sizes)
        elif kind is np.int8:
            value = (
                rng.integers(-127, 128, sizes)
                if name != "table"
                else rng.normal(0, 20, sizes).clip(-127, 127)
            )
        elif name.endswith(".scale"):
            value = rng.uniform(0.5, 1.5, sizes) / (73 * np.sqrt(shape.matrices()[name[:-6]][1]))
        elif name.endswith("norm"):
            value = rng.uniform(0.5, 1.5, sizes)
        elif name.endswith("slope"):
            value = np.geomspace(0.5, 0.002, sizes[0])
        else:
            value = rng.normal(0, 0.1, sizes)
        made[name] = value.astype(kind)
    return made
