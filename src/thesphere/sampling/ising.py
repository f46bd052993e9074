"""Ising and Potts models on sparse graphs, sampled by thrml in JAX; the only module that knows thrml.

    P(c) ~ exp((sum_{i<j} J_ij [c_i = c_j] - sum_i h_{c_i}) / T),    c_i in 0 ... K - 1

With K = 2 and s = 2 c - 1 this is the Ising model of couplings J / 2, as [c = c'] = (1 + s s') / 2. The sign is
that of a ferromagnet: J > 0 pulls like rows together, and low energy is a small cut.

thrml draws all rows of a colour at once, and traces anew for each program that is built. Here a program is a
template: blocks x width slots, any of which may be joined to any, with couplings, neighbours, fields and
temperature swapped in as arrays. Shapes are rounded up to powers of two, so that one compilation serves all
graphs of about one size. What every row feels, such as a cap on the size of a cell, is no sparse coupling: it
would need a colour per row. It acts through the fields h, which rise between sweeps where a cell is too large.

JAX computes in float64 here, as the policy says, within a scope of its own.

Tracing costs 3 to 6 seconds once per shape. A compiled sweep costs N K drawn numbers and N times the largest
degree, while a heat-bath that visits row after row costs the number of couplings: on a CPU the latter is tens
of times faster at every N (see benchmarks/partition.py). This is for accelerators, and the independent check.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit

from thesphere.errors import InputError, MissingExtra
from thesphere.neighbours.graph import Edges
from thesphere.runtime import jax_precision, precision_of

try:
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    from thrml.block_management import Block
    from thrml.block_sampling import BlockGibbsSpec, BlockSamplingProgram, sample_blocks
    from thrml.conditional_samplers import SoftmaxConditional
    from thrml.interaction import InteractionGroup
    from thrml.pgm import CategoricalNode
except ImportError:
    raise MissingExtra("sampling with thrml", "jax") from None

STIFFNESS = 2.0  # by how much a field rises per sweep for a cell of twice its room, in units of the coupling
COLOURS = 4  # blocks of a template are a multiple of this


class Layout(NamedTuple):
    """A graph spread over a template's slots.

    Attributes:
        slots: int64 [N], block * width + place of each row.
        tails: int32 [C, W, D], the slots of each slot's neighbours.
        weights: float64 [C, W, D], their couplings, 0 where there is none.
    """

    slots: np.ndarray
    tails: np.ndarray
    weights: np.ndarray


class Pull(eqx.Module):
    """The couplings of one row to its neighbours, as thrml hands them to the sampler."""

    weights: jax.Array


class PottsConditional(SoftmaxConditional):
    """Heat-bath of a Potts spin: theta_c = (sum of couplings to neighbours in c - h_c) / T. thrml's own
    categorical interaction would hold a K x K table for each coupling.

    Attributes:
        fields: float64 [K], h.
        inverse: 1 / T.
    """

    fields: jax.Array
    inverse: jax.Array

    def compute_parameters(self, key, interactions, active_flags, states, sampler_state, output_sd):
        theta = jnp.zeros((*output_sd.shape, len(self.fields))) - self.fields
        rows = jnp.arange(output_sd.shape[0])[:, None]
        for pull, active, (cells,) in zip(interactions, active_flags, states, strict=True):
            theta = theta.at[rows, cells].add(pull.weights * active)
        return theta * self.inverse, sampler_state


def sample_potts(
    edges: Edges,
    labels: np.ndarray,
    cells: int,
    *,
    temperatures: np.ndarray,
    room: int | None = None,
    key: int = 0,
) -> np.ndarray:
    """The labels after one sweep at each temperature: int32 [N].

    Args:
        edges: symmetric couplings J of N rows.
        labels: integers [N] to start from, 0 ... cells - 1.
        cells: K, 1 or more.
        temperatures: [S], above 0.
        room: rows that a cell should hold at most. Fields rise where it holds more and fall back to 0 where it
            does not, which lowers the largest sizes but bounds none; None: no fields.
        key: same key, same labels.

    Raises:
        InputError: labels beyond the cells, or a temperature that is not above 0.
    """
    return sample_chain(edges, labels, cells, temperatures=temperatures, room=room, key=key, every=False)[0]


def sample_chain(
    edges: Edges,
    labels: np.ndarray,
    cells: int,
    *,
    temperatures: np.ndarray,
    fields: np.ndarray | None = None,
    room: int | None = None,
    key: int = 0,
    every: bool = True,
) -> np.ndarray:
    """The labels after each sweep, int32 [S, N], or with `every` False after the last only, int32 [1, N].

    Args:
        fields: h of each cell, [K]; 0 unless given.
        others: as in `sample_potts`.
    """
    precise = precision_of("ising")
    warm = np.asarray(temperatures, precise)
    given = np.asarray(labels)
    if warm.ndim != 1 or not ((warm > 0) & np.isfinite(warm)).all():
        raise InputError("temperatures are finite numbers above 0, one for each sweep")
    if given.shape != (len(edges.starts) - 1,) or (
        given.size and not 0 <= given.min() <= given.max() < cells
    ):
        raise InputError(f"labels have shape {list(given.shape)}; give one of 0 to {cells - 1} for each row")
    if not len(given) or not len(warm):
        return given[None].astype(np.int32)
    layout = lay_out(edges)
    blocks, width, _ = layout.tails.shape
    kind = np.uint16 if cells <= 1 << 16 else np.uint32
    state = np.zeros(blocks * width, kind)
    state[layout.slots] = given
    real = np.zeros(blocks * width, precise)
    real[layout.slots] = 1
    start = np.zeros(cells, precise) if fields is None else np.asarray(fields, precise)
    with jax_precision("ising"):
        drawn = _run(
            _template(blocks, width, kind),
            layout.tails,
            layout.weights,
            state.reshape(blocks, width),
            real,
            start,
            np.asarray(np.inf if room is None else room, precise),
            warm,
            jax.random.key(key),
            every,
        )
    return np.asarray(drawn).reshape(-1, blocks * width)[:, layout.slots].astype(np.int32)


@eqx.filter_jit
def _run(program, tails, weights, state, real, fields, room, temperatures, key, every):
    """The states after each sweep [S, C, W], or the last one [1, C, W]."""
    blocks = len(tails)
    program = eqx.tree_at(
        lambda p: [
            *(p.per_block_interactions[b][0].weights for b in range(blocks)),
            *(p.per_block_interaction_active[b][0] for b in range(blocks)),
            *(p.per_block_interaction_global_slices[b][0][0] for b in range(blocks)),
        ],
        program,
        [*weights, *(weights != 0), *tails],
    )

    def sweep(carry, now):
        state, fields = carry
        temperature, key = now
        sampler = PottsConditional(fields, 1 / temperature)
        cooled = eqx.tree_at(lambda p: p.samplers, program, [sampler] * blocks)
        state, _ = sample_blocks(key, list(state), [], cooled, [None] * blocks)
        state = jnp.stack(state)
        sizes = jnp.zeros_like(fields).at[state.ravel()].add(real)
        risen = jnp.maximum(fields + STIFFNESS * (sizes / room - 1), 0)
        fields = jnp.where(jnp.isfinite(room), risen, fields)
        return (state, fields), state if every else None

    keys = jax.random.split(key, len(temperatures))
    (state, _), history = jax.lax.scan(sweep, (state, fields), (temperatures, keys))
    return state[None] if history is None else history


@cache
def _template(blocks: int, width: int, kind: type) -> BlockSamplingProgram:
    """A program of blocks x width categorical nodes, each joined to itself until `_run` says to whom."""
    nodes = [CategoricalNode() for _ in range(blocks * width)]
    free = [Block(nodes[at : at + width]) for at in range(0, len(nodes), width)]
    spec = BlockGibbsSpec(free, [], {CategoricalNode: jax.ShapeDtypeStruct((), kind)})
    group = InteractionGroup(Pull(jnp.zeros(len(nodes))), Block(nodes), [Block(nodes)])
    sampler = PottsConditional(jnp.zeros(1), jnp.ones(()))
    return BlockSamplingProgram(spec, [sampler] * blocks, [group])


def lay_out(edges: Edges) -> Layout:
    """Colour the graph, so that neighbours differ, in colours of about equal count; see `Layout`. Width and
    degree are powers of two: a row of a thousand neighbours makes all rows as wide."""
    count = len(edges.starts) - 1
    degrees = np.diff(edges.starts)
    order = np.argsort(-degrees, kind="stable")
    blocks, colours = COLOURS, np.empty(count, np.int32)
    while not _colour(order, edges.starts, edges.targets, colours, np.zeros(blocks, np.int64)):
        blocks += COLOURS
    sizes = np.bincount(colours, minlength=blocks)
    width, degree = _power(int(sizes.max())), _power(int(degrees.max(initial=1)))
    by_colour = np.argsort(colours, kind="stable")
    slots = np.empty(count, np.int64)
    firsts = np.cumsum(sizes) - sizes
    slots[by_colour] = np.arange(count) + np.repeat(np.arange(blocks) * width - firsts, sizes)
    tails = np.zeros((blocks * width, degree), np.int32)
    weights = np.zeros((blocks * width, degree), precision_of("ising"))
    sources = np.repeat(np.arange(count), degrees)
    places = np.arange(len(edges.targets)) - np.repeat(edges.starts[:-1], degrees)
    tails[slots[sources], places] = slots[edges.targets]
    weights[slots[sources], places] = edges.weights
    shape = blocks, width, degree
    return Layout(slots, tails.reshape(shape), weights.reshape(shape))


@njit(cache=True, nogil=True)
def _colour(order, starts, targets, colours, used):
    """Give each row in turn the least used colour that no neighbour has; False where there is none."""
    colours[:] = -1
    taken = np.full(len(used), -1, np.int64)
    for i in order:
        for e in range(starts[i], starts[i + 1]):
            if colours[targets[e]] >= 0:
                taken[colours[targets[e]]] = i
        best = -1
        for colour in range(len(used)):
            if taken[colour] != i and (best < 0 or used[colour] < used[best]):
                best = colour
        if best < 0:
            return False
        colours[i] = best
        used[best] += 1
    return True


def _power(number: int) -> int:
    """The least power of two that is not below."""
    return 1 << max(0, number - 1).bit_length()
