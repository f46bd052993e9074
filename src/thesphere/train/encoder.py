"""The training of the sphere encoders: true contrast over pairs, and the vectors of a teacher where it has any.

Each step takes pairs (a, b) of about the same two lengths and adds up, over all devices' pairs together:

- InfoNCE in both directions at a fixed temperature (van den Oord et al. 2018). A pair's neighbours in its source
  are in the same batch as hard negatives, and others that the teacher holds for alike (`near`); what it holds for
  the same is none;
- 1 - cosine to the teacher's vector of the text (of a translation: of the English text; of a damaged text: of the
  whole one), and the divergence of the student's similarities in the batch from the teacher's;
- with small weights: the cross-entropy of each patch's shell, which is where its norm's rank puts it when shells
  hold r^1.5; evenness of the prominence within a text, and its scale; and the mutual information of patch and
  cone, so that all cones are used and each patch is sure of its own. (The earlier system regressed similarities,
  took the logarithm of negative numbers, and pushed every patch towards all cones alike.)
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from thesphere.errors import InputError, MissingExtra
from thesphere.nn import sphere
from thesphere.nn.sphere_shape import SphereShape
from thesphere.train.library import MOST_GRAMS, Library

try:
    import jax
    import jax.numpy as jnp
    import optax
    from jax.sharding import Mesh, NamedSharding
    from jax.sharding import PartitionSpec as Of
except ImportError:
    raise MissingExtra("the training of encoders", "jax") from None

PAIRS = "pairs"  # the axis along which devices share a batch
RUN = 4  # pairs next to each other in their source that come together
CROWD = 32  # pairs that come together because the teacher holds them for alike
WATCHED = 128  # texts of a batch whose patches the small losses look at
STACKED = tuple(f"layer.{name}" for name in ("attend", "out", "up", "down", "in"))
PLAIN = ("input", "raw")  # trained by Muon too; the heads and everything else by Adam
_NONE = -1e9


@dataclass(frozen=True)
class Settings:
    """How to train.

    Args:
        steps: batches.
        sizes: (patches of a, patches of b, pairs) of the kinds of batches; a pair goes into the first it fits.
        rate, table_rate: highest learning rates of matrices (Muon) and of the rest (Adam).
        rise: steps until the highest rate.
        floor: share of the highest rate that is left at the end.
        temperature: of InfoNCE and of the divergence.
        near: share of the pairs that come in crowds of CROWD which the teacher holds for alike, if it knows.
        distil, relate, small: weights of 1 - cosine, of the divergence, of the small losses; InfoNCE has 1.
        same: the teacher's cosine from which two texts are no negatives of each other.
        forget: share of a batch's words that are known by their grams alone.
        seed: of the first parameters and of the order of pairs.
        words: distinct words of a batch at most; more are read as the last of them.
        kernel: use the Pallas kernel for gradients of rows (Nvidia GPUs).
    """

    steps: int
    sizes: tuple[tuple[int, int, int], ...] = (
        (16, 16, 8192), (32, 32, 4096), (32, 128, 2048), (128, 128, 1024), (256, 256, 512),
    )  # fmt: skip
    rate: float = 0.01
    table_rate: float = 0.004
    rise: int = 200
    floor: float = 0.02
    temperature: float = 0.05
    distil: float = 10.0
    relate: float = 0.3
    near: float = 0.0
    small: float = 0.02
    same: float = 0.9
    forget: float = 0.1
    seed: int = 0
    words: int = 1 << 16
    kernel: bool = False


@dataclass(frozen=True)
class Pairs:
    """Pairs of texts to learn from, in the order of their sources.

    Args:
        a, b: int [N], numbers of texts.
        kind: int [N], index into `shares`.
        shares: how much of the batches each kind makes.
        related: whether a kind's a and b belong together; if not, they only learn from the teacher.
        places: int [N], a number for each pair, near for pairs that the teacher holds for alike; -1: unknown.
    """

    a: np.ndarray
    b: np.ndarray
    kind: np.ndarray
    shares: Sequence[float]
    related: Sequence[bool]
    places: np.ndarray | None = None


class Shelf(NamedTuple):
    """A `Library` and the teacher's vectors, on the device.

    Attributes:
        taught: int32 [texts], the row of `teacher` that a text should be near; -1: none.
        teacher: float16 [R, E], unit rows.
    """

    begins: Any
    distinct: Any
    symbol: Any
    word: Any
    gram: Any
    size: Any
    hint: Any
    taught: Any
    teacher: Any


class State(NamedTuple):
    """All that training carries from step to step."""

    parameters: Any
    optimiser: Any


def mesh() -> Mesh:
    """All devices, in one row."""
    return Mesh(np.array(jax.devices()), (PAIRS,))


class Room(NamedTuple):
    """How much a shelf can hold: what is compiled for it fits all that hold less."""

    texts: int
    patches: int
    words: int
    vectors: int


def room_for(library: Library, teacher: np.ndarray) -> Room:
    """What `library` and `teacher` need."""
    return Room(len(library.begins) - 1, len(library.distinct), len(library.word), len(teacher))


def shelf_like(room: Room, width: int) -> Shelf:
    """A shelf without its numbers: enough to compile for. width: of the teacher's vectors."""
    p, w, whole = (room.patches,), room.words, NamedSharding(mesh(), Of())
    shapes = [
        (room.texts + 1,),
        p,
        p,
        (w, 2),
        (w, MOST_GRAMS),
        (w,),
        (w,),
        (room.texts,),
        (room.vectors, width),
    ]
    kinds = [np.int32] * (len(shapes) - 1) + [np.float16]
    return Shelf(*(jax.ShapeDtypeStruct(*each, sharding=whole) for each in zip(shapes, kinds, strict=True)))


def shelve(library: Library, taught: np.ndarray, teacher: np.ndarray, room: Room | None = None) -> Shelf:
    """The arrays of `library`, as every device holds them.

    Args:
        taught: int [texts], see `Shelf`.
        teacher: [R, E], unit rows.
        room: to be filled up to; None: as much as is needed.

    Raises:
        InputError: too many patches to be counted, rows of the teacher that are not there, or too little room.
    """
    need = room_for(library, teacher)
    room = room or need
    if room.patches >= 1 << 31:
        raise InputError(f"{room.patches:,} patches: at most 2^31 can be counted; give fewer texts")
    if len(taught) != need.texts or taught.max(initial=-1) >= len(teacher):
        raise InputError(f"{len(taught)} texts with teachers for {need.texts} texts, {len(teacher)} vectors")
    if any(have < wanted for have, wanted in zip(room, need, strict=True)):
        raise InputError(f"{need} does not fit {room}")
    arrays = (library.begins, library.distinct, library.symbol, library.word, library.gram)
    more = (library.size, library.hint, taught, teacher)
    made = []
    for array, like in zip((*arrays, *more), shelf_like(room, teacher.shape[1]), strict=True):
        if array.shape != like.shape or array.dtype != like.dtype:
            full = np.zeros(like.shape, like.dtype)
            full[: len(array)] = array
            array = full
        made.append(jax.device_put(array, like.sharding))
    return Shelf(*made)


@dataclass(frozen=True)
class Sampler:
    """Which pairs each step learns from, a function of the seed and the step alone."""

    pairs: Pairs
    lengths: np.ndarray
    settings: Settings
    _pools: list[list[np.ndarray]] = field(init=False, repr=False)
    _alike: list[list[np.ndarray]] = field(init=False, repr=False)
    _kinds: list[np.ndarray] = field(init=False, repr=False)
    _sizes: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        a, b = self.lengths[self.pairs.a], self.lengths[self.pairs.b]
        short, long = np.minimum(a, b), np.maximum(a, b)
        limits = np.array(self.settings.sizes)
        fits = (short[:, None] <= limits[:, 0]) & (long[:, None] <= limits[:, 1])
        size = np.where(fits.any(1), fits.argmax(1), len(limits) - 1)
        pools, alike, kinds, mass = [], [], [], []
        places = np.full(len(a), -1) if self.pairs.places is None else self.pairs.places
        shares = np.asarray(self.pairs.shares, np.float64)
        total = np.maximum(np.bincount(self.pairs.kind, minlength=len(shares)), 1)
        usable = short > 0
        for s, (_, _, batch) in enumerate(limits):
            here = [np.flatnonzero((size == s) & (self.pairs.kind == k) & usable) for k in range(len(shares))]
            weight = (
                shares * [len(pool) for pool in here] / total
            )  # pairs of this size in a pass over all kinds
            pools.append(here)
            told = [pool[places[pool] >= 0] for pool in here]
            alike.append([pool[np.argsort(places[pool], kind="stable")] for pool in told])
            kinds.append(weight / max(weight.sum(), 1e-12))
            mass.append(weight.sum() / batch)
        if not sum(mass):
            raise InputError("no pair of texts with words: give texts that are related")
        object.__setattr__(self, "_pools", pools)
        object.__setattr__(self, "_alike", alike)
        object.__setattr__(self, "_kinds", kinds)
        object.__setattr__(self, "_sizes", np.array(mass) / sum(mass))

    @property
    def chances(self) -> dict[int, float]:
        """How likely each kind of batch is in a step, of those that occur."""
        return {int(size): float(self._sizes[size]) for size in np.flatnonzero(self._sizes)}

    def batch(self, step: int, size: int | None = None) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        """(kind of batch, shorter texts, longer texts, 1 where they belong together, else 0) of a step."""
        rng = np.random.default_rng([self.settings.seed, step])
        size = int(rng.choice(len(self._sizes), p=self._sizes)) if size is None else size
        count = self.settings.sizes[size][2]
        numbers = rng.multinomial(count // RUN, self._kinds[size])
        chosen = []
        for pool, alike, number in zip(self._pools[size], self._alike[size], numbers, strict=True):
            crowds = rng.binomial(number * RUN // CROWD, self.settings.near) if len(alike) else 0
            if crowds:
                first = rng.integers(0, len(alike), (crowds, 1))
                chosen.append(alike[(first + np.arange(CROWD)) % len(alike)].ravel())
                number -= crowds * CROWD // RUN
            if number:
                first = rng.integers(0, len(pool), (number, 1))
                apart = rng.random((number, 1)) < 0.5  # half of the runs are neighbours, half are not
                run = np.where(
                    apart, rng.integers(0, len(pool), (number, RUN)), (first + np.arange(RUN)) % len(pool)
                )
                chosen.append(pool[run].ravel())
        chosen = np.concatenate(chosen)
        chosen = (
            np.concatenate([chosen, rng.choice(chosen, count - len(chosen))])
            if len(chosen) < count
            else chosen
        )
        chosen = rng.permutation(chosen)
        a, b = self.pairs.a[chosen], self.pairs.b[chosen]
        turn = self.lengths[a] > self.lengths[b]
        related = np.asarray(self.pairs.related, np.float32)[self.pairs.kind[chosen]]
        return size, np.where(turn, b, a).astype(np.int32), np.where(turn, a, b).astype(np.int32), related


def optimiser(settings: Settings) -> optax.GradientTransformation:
    """Updates for a rate of 1; the schedule multiplies them."""

    def dimensions(parameters):
        stacked, plain = optax.contrib.MuonDimensionNumbers(1, 2), optax.contrib.MuonDimensionNumbers(0, 1)
        return {
            name: stacked if name in STACKED else plain if name in PLAIN else None for name in parameters
        }  # fmt: skip

    muon = optax.contrib.muon(
        settings.rate, beta=0.95, consistent_rms=0.2, adam_b2=0.99, adam_learning_rate=settings.table_rate,
        muon_weight_dimension_numbers=dimensions,
    )  # fmt: skip
    return optax.chain(optax.clip_by_global_norm(1.0), muon)


def begin(shape: SphereShape, settings: Settings) -> State:
    """The state before the first step."""
    whole = NamedSharding(mesh(), Of())
    parameters = jax.device_put(sphere.init(shape, settings.seed), whole)
    return State(parameters, jax.device_put(optimiser(settings).init(parameters), whole))


def _unit(x):
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x, -1, keepdims=True), 1e-12))


def _mean(x, shared: bool):
    """x, a count, as the mean over all devices: what is divided by it adds up to the mean over all pairs."""
    return jnp.maximum(jax.lax.pmean(x.astype(jnp.float32), PAIRS) if shared else x, 1e-6)


def _everywhere(x, shared: bool):
    """x of all devices, one after the other."""
    return jax.lax.all_gather(x, PAIRS, tiled=True) if shared else x


def windows_of(shelf: Shelf, texts: Sequence[Any], places: Sequence[int], words: int):
    """(Words, one Windows for each of `texts`) of texts on the shelf; `places` are the windows' lengths."""
    found, flat = [], []
    for text, n in zip(texts, places, strict=True):
        begin = shelf.begins[text]
        count = jnp.minimum(shelf.begins[text + 1] - begin, n)
        at = jnp.arange(n)
        used = at < count[:, None]
        place = jnp.where(used, begin[:, None] + at, 0)
        flat.append(jnp.where(used, jnp.take(shelf.distinct, place), 0).ravel())
        found.append((used.shape, jnp.take(shelf.symbol, place), count))
    which, inverse = jnp.unique(jnp.concatenate(flat), size=words, fill_value=0, return_inverse=True)
    inverse = jnp.minimum(inverse, words - 1).astype(jnp.int32)
    windows, at = [], 0
    for (shape, symbol, count), some in zip(found, flat, strict=True):
        windows.append(sphere.Windows(inverse[at : at + len(some)].reshape(shape), symbol, count))
        at += len(some)
    return sphere.Words(*(jnp.take(part, which, 0) for part in shelf[3:7])), windows


def contrast(za, zb, mine, negative, related, temperature: float, shared: bool = False):
    """InfoNCE of unit rows, both ways, mean over the related pairs.

    Args:
        za, zb: [N, E], all pairs.
        mine: int [n], which of them are asked.
        negative: bool [n, N], which of all are negatives of each asked one.
        related: float32 [n], 0 for pairs that are none.
    """
    own = mine[:, None] == jnp.arange(len(za))
    total = 0.0
    for x, y in ((za, zb), (zb, za)):
        logits = jnp.where(negative | own, x[mine] @ y.T / temperature, _NONE)
        total += jnp.sum((jax.nn.logsumexp(logits, 1) - jnp.sum(jnp.where(own, logits, 0), 1)) * related)
    return total / (2 * _mean(related.sum(), shared))


def divergence(z, to, t, t_to, asked, known, temperature: float, shared: bool = False):
    """Kullback-Leibler divergence of softmax(z to) from softmax(t t_to), mean over the rows asked.

    Args:
        z, to: the student's unit rows [n, E], [N, E]; t, t_to: the teacher's.
        asked: bool [n], rows that have a teacher; known: bool [n, N], which columns count for each.
    """
    wanted = jax.nn.log_softmax(jnp.where(known, t @ t_to.T / temperature, _NONE))
    given = jax.nn.log_softmax(jnp.where(known, z @ to.T / temperature, _NONE))
    each = jnp.sum(jnp.exp(wanted) * jnp.where(known, wanted - given, 0), 1)
    return jnp.sum(each * asked) / _mean(asked.sum(), shared)


def small_losses(parameters, found: sphere.Found, count):
    """(shells, prominence, cones): see the module's description; each is 0 or more at its best."""
    used = jnp.arange(found.h.shape[1]) < count[:, None]
    total = jnp.maximum(used.sum(), 1)
    norms = jnp.linalg.norm(jax.lax.stop_gradient(sphere.patch_embeddings(parameters, found)), axis=-1)
    logits = sphere.shells(parameters, found)
    shells = logits.shape[-1]
    rank = jnp.argsort(jnp.argsort(jnp.where(used, norms, jnp.inf).ravel())).reshape(used.shape)
    radius = jnp.linspace(32.0, 512.0, shells)
    capacity = jnp.cumsum(radius**1.5) / jnp.sum(radius**1.5)
    target = jnp.minimum(jnp.searchsorted(capacity, (rank + 0.5) / total), shells - 1)
    shell = optax.softmax_cross_entropy_with_integer_labels(logits, target)
    share = found.prominence / jnp.maximum(found.prominence.sum(1, keepdims=True), 1e-12)
    surprise = -jnp.sum(jax.scipy.special.xlogy(share, jnp.maximum(share, 1e-12)), 1)
    uneven = 1 - surprise / jnp.log(jnp.maximum(count, 2))
    scale = jnp.square(jnp.log(found.prominence.sum() / total))
    affinity = jax.nn.softmax(sphere.cones(parameters, found))
    mean = jnp.sum(affinity * used[..., None], (0, 1)) / total

    def entropy(p):
        return -jnp.sum(jax.scipy.special.xlogy(p, jnp.maximum(p, 1e-12)), -1)

    apart = jnp.log(affinity.shape[-1]) + jnp.sum(entropy(affinity) * used) / total - entropy(mean)
    return jnp.sum(shell * used) / total, jnp.sum(uneven * (count > 1)) / len(count) + scale, apart


def losses(
    parameters,
    shape: SphereShape,
    settings: Settings,
    shelf: Shelf,
    a,
    b,
    related,
    places,
    known,
    shared: bool,
):
    """(sum of all, each by name) of the pairs (a, b) that this device has.

    Args:
        related: float32, 1 where a and b belong together, else 0.
        places: patches of the windows of a and of b.
        known: [words] 0 where a word's own rows are forgotten.
        shared: whether there are other devices with other pairs.
    """
    words, (wa, wb) = windows_of(shelf, (a, b), places, settings.words)
    vectors = sphere.word_vectors(parameters, words, known, settings.kernel)
    fa, fb = (
        sphere.forward(parameters, shape, words, vectors, w, jnp.bfloat16, settings.kernel) for w in (wa, wb)
    )
    za, zb = _unit(fa.passages), _unit(fb.passages)
    rows = jnp.stack([shelf.taught[a], shelf.taught[b]])
    taught = rows >= 0
    teachers = jnp.where(taught[..., None], shelf.teacher[jnp.maximum(rows, 0)].astype(jnp.float32), 0)
    ta, tb = _unit(teachers[0]), _unit(teachers[1])
    mine = jnp.arange(len(a)) + (jax.lax.axis_index(PAIRS) * len(a) if shared else 0)
    all_za, all_zb, all_ta, all_tb, all_a, all_b = (_everywhere(x, shared) for x in (za, zb, ta, tb, a, b))
    same = (a[:, None] == all_a) | (b[:, None] == all_b) | (a[:, None] == all_b) | (b[:, None] == all_a)
    for t, other in ((ta, all_ta), (tb, all_tb), (ta, all_tb), (tb, all_ta)):
        same |= t @ other.T > settings.same
    nce = contrast(all_za, all_zb, mine, ~same, related, settings.temperature, shared)
    near = sum(jnp.sum((1 - jnp.sum(z * t, 1)) * k) for z, t, k in ((za, ta, taught[0]), (zb, tb, taught[1])))
    near /= _mean(taught.sum(), shared)
    columns_a, columns_b = (jnp.any(t != 0, 1)[None] for t in (all_ta, all_tb))
    own = mine[:, None] == jnp.arange(len(all_a))
    relation = divergence(za, all_zb, ta, all_tb, taught[0], columns_b, settings.temperature, shared)
    relation += divergence(zb, all_zb, tb, all_tb, taught[1], columns_b & ~own, settings.temperature, shared)
    relation += divergence(za, all_za, ta, all_ta, taught[0], columns_a & ~own, settings.temperature, shared)
    some = sphere.Found(*(part[:WATCHED] for part in fb))
    shell, prominence, cone = small_losses(parameters, some, wb.count[:WATCHED])
    told = {
        "nce": nce,
        "distil": near,
        "relate": relation,
        "shell": shell,
        "prominence": prominence,
        "cone": cone,
    }
    small = settings.small * (shell + prominence + cone)
    return nce + settings.distil * near + settings.relate * relation + small, told


Step = Callable[..., tuple[State, dict[str, jax.Array]]]


def _parts(shape: SphereShape, settings: Settings):
    """(for each kind of batch its gradients, the update), to be compiled."""
    devices, update = mesh().size, optimiser(settings)
    for _, _, pairs in settings.sizes:
        if pairs % (devices * RUN):
            raise InputError(
                f"{pairs} pairs cannot be shared by {devices} devices in runs of {RUN}: give a multiple"
            )

    def make(size: tuple[int, int, int]):
        def gradients(parameters, shelf: Shelf, a, b, related, number):
            key = jax.random.fold_in(jax.random.key(settings.seed), number)
            known = jax.random.bernoulli(key, 1 - settings.forget, (settings.words,)).astype(jnp.float32)

            def loss_of(parameters):
                return losses(parameters, shape, settings, shelf, a, b, related, size[:2], known, devices > 1)

            (_, told), found = jax.value_and_grad(loss_of, has_aux=True)(parameters)
            return jax.lax.pmean((found, told), PAIRS) if devices > 1 else (found, told)

        if devices == 1:
            return jax.jit(gradients)
        given = (Of(), Of(), Of(PAIRS), Of(PAIRS), Of(PAIRS), Of())
        return jax.jit(jax.shard_map(gradients, mesh=mesh(), in_specs=given, out_specs=Of(), check_vma=False))

    def apply(state: State, found, rate) -> State:
        updates, after = update.update(found, state.optimiser, state.parameters)
        return State(jax.tree.map(lambda p, u: p + rate * u, state.parameters, updates), after)

    return [make(size) for size in settings.sizes], jax.jit(apply, donate_argnums=0)


def _joined(gradients, apply) -> Step:
    def step(state: State, shelf: Shelf, a, b, related, number, rate):
        found, told = gradients(state.parameters, shelf, a, b, related, number)
        return apply(state, found, rate), told

    return step


def make_steps(shape: SphereShape, settings: Settings) -> list[Step]:
    """For each kind of batch the step:
    (state, shelf, a, b, related, number, share of the highest rate) -> (state, told).

    Raises:
        InputError: a batch cannot be shared evenly by the devices.
    """
    parts, apply = _parts(shape, settings)
    return [_joined(part, apply) for part in parts]


def compiled(shape: SphereShape, settings: Settings, state: State, shelf: Shelf) -> list[Step]:
    """`make_steps`, compiled side by side beforehand; shelf may be that of `shelf_like`."""
    parts, apply = _parts(shape, settings)
    split = NamedSharding(mesh(), Of(PAIRS))

    def one(part, pairs: int):
        kinds = (np.int32, np.int32, np.float32)
        batch = [jax.ShapeDtypeStruct((pairs,), kind, sharding=split) for kind in kinds]
        return part.lower(state.parameters, shelf, *batch, np.int32(0)).compile()

    with ThreadPoolExecutor() as pool:
        made = [pool.submit(one, part, size[2]) for part, size in zip(parts, settings.sizes, strict=True)]
        applied = pool.submit(lambda: apply.lower(state, state.parameters, np.float32(1)).compile())
        return [_joined(each.result(), applied.result()) for each in made]


def seconds_of(steps: list[Step], state: State, shelf: Shelf, sampler: Sampler, repeats: int = 4) -> float:
    """Seconds of a step, the mean over kinds of batches, on a copy of the state that is thrown away."""
    state, spent = jax.tree.map(lambda leaf: leaf.copy(), state), 0.0
    for size, chance in sampler.chances.items():
        for number in range(repeats + 1):
            if number == 1:
                jax.block_until_ready(state)
                begun = time.monotonic()
            batch = sampler.batch(number, size)[1:]
            state, _ = steps[size](state, shelf, *batch, np.int32(number), np.float32(0.01))
        jax.block_until_ready(state)
        spent += chance * (time.monotonic() - begun) / repeats
    return spent


def make_embed(shape: SphereShape, settings: Settings, places: int, batch: int = 512):
    """The function (parameters, shelf, texts) -> float32 [N, E], pre-norm, of texts cut to `places` patches."""

    @jax.jit
    def some(parameters, shelf, texts):
        words, (windows,) = windows_of(shelf, (texts,), (places,), min(settings.words, batch * places))
        vectors = sphere.word_vectors(parameters, words)
        return sphere.forward(parameters, shape, words, vectors, windows).passages

    def embed(parameters, shelf: Shelf, texts: np.ndarray) -> np.ndarray:
        padded = np.resize(np.asarray(texts, np.int32), -(-len(texts) // batch) * batch)
        parts = [
            np.asarray(some(parameters, shelf, padded[i : i + batch])) for i in range(0, len(padded), batch)
        ]
        return np.concatenate(parts)[: len(texts)]

    return embed


def judge(
    embed, parameters, shelf: Shelf, a: np.ndarray, b: np.ndarray, taught: np.ndarray, teacher
) -> dict[str, float]:
    """Of held-out pairs: how often b is a's nearest of all b, and the mean cosine to the teacher."""
    za, zb = (np.asarray(embed(parameters, shelf, texts), np.float64) for texts in (a, b))
    za, zb = (z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12) for z in (za, zb))
    found = (za @ zb.T).argmax(1) == np.arange(len(a))
    told = {"recall@1": float(found.mean())}
    cosines = [
        np.sum(z[taught[texts] >= 0] * teacher[taught[texts][taught[texts] >= 0]].astype(np.float64), 1)
        for z, texts in ((za, a), (zb, b))
    ]
    cosine = np.concatenate(cosines)
    return told | {"teacher cosine": float(cosine.mean())} if len(cosine) else told
