"""Batches of queries on an accelerator, or on several, through JAX: the same answers as `thesphere.scan`.

The device computes what bounds ask for, int8 products summed exactly in int32 and an upper bound of each score
in float32, and hands back the few rows with the largest ones. The host scores those in float64 with the function
of `thesphere.scan`, and an answer is proved when no row left out can reach its k-th score. What is not proved
is asked again with more candidates, and at last of the host's own scan. So ids and scores are those of the
scan, bit by bit, whatever the device rounds and in whatever order.

Cells are for hosts; here every answer is exact. A device reads each code once for QUERIES queries: of a million
rows x 384 that is 1.5 MB a query, and 4 MB of int32 products. Rows of cells that each query opens for itself
would be 3.8 MB for every per cent of the rows, and each look at the stopping rule a round trip. An H200 takes 6
of the 23 us that a query costs beside eight threads of a host (benchmarks/device.py): little to spare anyway.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numba import njit

from thesphere.errors import InputError, MissingExtra
from thesphere.runtime.threads import spread
from thesphere.scan import Codes, Metric, Part, Result, search
from thesphere.scan.block import TILE, Queries
from thesphere.scan.dots import score
from thesphere.scan.rows import as_rows, frozen

BUCKET = 32  # rows, or groups of rows, whose largest bound stands for them while candidates are chosen
QUERIES = 256  # queries that are asked together, at most: more leave the host's workers waiting
FEWEST = 8  # and at least: a lone query travels with zeros
PRODUCTS = {"cpu": 1 << 24, "gpu": 1 << 28}  # int32 products that a device holds at once
LIST = 128  # candidates of a query, or four times k
RETRY = 8  # times as many where those prove nothing
ROOM = 1 << 20  # candidates that all queries asked together have room for
SLACK = 2.0**-18  # relative, on the error terms: with COARSE it covers the device's roundings, 2^-24 each
COARSE = 2.0**-20  # per unit of the largest product that the lengths allow

Devices = Sequence[Any]  # JAX devices of one kind
Host = Callable[[np.ndarray, int, np.ndarray | None], Result]  # queries float32 [Q, D], k, live bool [N]


class DeviceRows:
    """Coded rows on one or more devices of JAX, an equal piece of them on each."""

    def __init__(
        self,
        codes: Codes,
        vectors,
        metric: Metric,
        *,
        host: Host | None = None,
        devices: Devices | None = None,
    ) -> None:
        """Copy the codes to the devices, W + 13 bytes a row; what is scored in float64 stays on the host.

        Args:
            codes: N coded rows.
            vectors: float32 [N, D] in the same order (may be memory-mapped), None when the codes are the vectors.
            metric: "ip" or "cosine".
            host: the exact answer, for what the device cannot prove; None: `thesphere.scan.search`.
            devices: where the rows go; None: all devices that JAX uses by default.

        Raises InputError for another metric or vectors that are not those of the codes, MissingExtra without JAX.
        """
        try:
            import jax
        except ImportError:
            raise MissingExtra("answering on a device", "jax") from None
        if metric not in ("ip", "cosine"):
            raise InputError(f"metric is {metric!r}, expected 'ip' or 'cosine'")
        part = Part(codes, vectors)
        self.metric: Metric = metric
        self.devices = tuple(jax.local_devices() if devices is None else devices)
        self.width, self._count = codes.width, len(codes)
        self._host = host or (lambda q, k, live: search([replace(part, live=live)], q, k, metric=metric))
        self._scored = (part.values, frozen(codes.scales), vectors is None)
        limit = PRODUCTS.get(self.devices[0].platform, PRODUCTS["gpu"]) // QUERIES
        here = max(1, -(-len(codes) // len(self.devices)))
        self._blocks = -(-here // limit)  # per device
        self._size = -(-here // self._blocks // BUCKET**2) * BUCKET**2  # rows of a block
        weights, *columns = codes.derived(metric, TILE)[0][1:]
        self._top = float(weights.max(initial=0.0)) or 1.0
        columns = (codes.codes, (weights / self._top).astype(np.float32), *columns)
        self._arrays = [self._put(column) for column in columns]
        self._every = self._put(np.ones(len(codes), dtype=np.bool_))

    def __len__(self) -> int:
        return self._count

    def search(self, queries, k: int, *, live: np.ndarray | None = None, threads: int = 1) -> Result:
        """The exact k best rows for each query: ids and scores equal to those of `thesphere.scan.search`.

        Args:
            queries: numbers [Q, D] or [D], used as float32. Many at once are what a device is good for.
            k: how many, 0 or more.
            live: bool [N], rows that may be found; None for all.
            threads: workers on the host, over blocks of queries; the answer does not depend on it.

        Raises InputError for NaN or infinity in a query, another width, a negative k or a wrong `live`.
        """
        if k < 0 or threads < 1:
            raise InputError(f"k is {k} and threads {threads}; expected k >= 0 and threads >= 1")
        if live is not None and (live.shape != (len(self),) or live.dtype != np.bool_):
            raise InputError(f"live is {live.dtype} {list(live.shape)}, expected bool {[len(self)]}")
        rows = as_rows(queries, "queries", self.width, one=True)
        asked = Queries.of([], rows, self.metric)
        ids = np.full((len(rows), k), -1, dtype=np.int64)
        scores = np.full((len(rows), k), -np.inf)
        wanted = min(k, len(self) if live is None else int(live.sum()))
        if not wanted or not len(rows):
            return Result(ids, scores, 0, 0)
        mask = self._every if live is None else self._put(live.copy())
        left, scored = np.arange(len(rows)), 0  # what is not proved yet
        for room in (max(4 * wanted, LIST), RETRY * max(4 * wanted, LIST)):
            room = 1 << (min(room, len(self)) - 1).bit_length()
            answers = self._ask(asked, mask, wanted, room, threads)
            names, values, proved, counts = map(np.concatenate, zip(*answers, strict=True))
            ids[left[proved], :wanted], scores[left[proved], :wanted] = names[proved], values[proved]
            scored += int(counts.sum())
            left = left[~proved]
            if not len(left):
                break
            asked = Queries.of([], rows[left], self.metric)
        else:
            rest = self._host(rows[left], wanted, live)
            ids[left, :wanted], scores[left, :wanted] = rest.ids, rest.scores
            scored += rest.rescored
        return Result(ids, scores, scored, len(self) * len(rows))

    def _ask(self, asked: Queries, mask: Any, k: int, room: int, threads: int) -> list[tuple[Any, ...]]:
        """For block after block: (ids [B, k], scores [B, k], whether proved [B], how many scored [1])."""
        size = max(FEWEST, min(QUERIES, ROOM // room))

        def work(first: int) -> tuple[Any, ...]:
            mine = asked.some(first, first + size)
            places, uppers, outside = self._candidates(mine, mask, room)
            ids, scores = np.full((len(mine), k), -1, dtype=np.int64), np.full((len(mine), k), -np.inf)
            told = (mine.exact, mine.norms, mine.cosine, places, uppers, ids, scores)
            count = _settle(*self._scored, *told)
            return ids, scores, (outside < scores[:, -1]) | (outside == -np.inf), [count]

        return spread(work, range(0, len(asked), size), threads)

    def _candidates(self, asked: Queries, mask: Any, room: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows with the largest upper bounds, `room` of each device: (positions int64 [Q, C], upper bounds
        float64 [Q, C], falling, -inf where there is none, the largest one left out float64 [Q])."""
        count = len(asked)
        padded = max(FEWEST, 1 << (count - 1).bit_length())  # few shapes, few programs
        codes = np.zeros((padded, asked.codes.codes.shape[1]), dtype=np.int8)
        codes[:count] = asked.codes.codes
        weight, spread, slip = asked.terms.T
        terms = np.zeros((padded, 2), dtype=np.float32)
        terms[:count, 0] = spread * (1 + SLACK)
        terms[:count, 1] = slip * (1 + SLACK) + spread * COARSE
        found = _program(self.devices, room)(*self._arrays, mask, codes, terms)
        bounds, places, outside = (np.asarray(each)[:, :count] for each in found)  # [devices, Q, ...]
        own = self._blocks * self._size  # rows of a device
        places = places + own * np.arange(len(self.devices), dtype=np.int64)[:, None, None]
        bounds, places = (np.concatenate([*each], axis=1) for each in (bounds, places))
        if len(self.devices) > 1:
            order = np.argsort(-bounds, axis=1, kind="stable")
            bounds, places = (np.take_along_axis(each, order, axis=1) for each in (bounds, places))
        unit = weight * self._top
        return places, _outward(bounds, unit[:, None]), _outward(outside.max(axis=0), unit)

    def _put(self, array: np.ndarray) -> Any:
        """[M, ...] as [blocks of all devices, rows of a block, ...] on the devices, zeros behind the last row."""
        import jax

        total, size, tail = self._blocks * len(self.devices), self._size, array.shape[1:]

        def piece(index: Any) -> np.ndarray:
            blocks = range(total)[index[0]]
            rows = array[blocks.start * size : blocks.stop * size]
            missing = len(blocks) * size - len(rows)
            if missing:
                rows = np.concatenate([rows, np.zeros((missing, *tail), dtype=array.dtype)])
            return rows.reshape(len(blocks), size, *tail)

        mesh, spec = jax.sharding.Mesh(self.devices, ("rows",)), jax.sharding.PartitionSpec("rows")
        return jax.make_array_from_callback((total, size, *tail), jax.NamedSharding(mesh, spec), piece)


@njit(cache=True, nogil=True, error_model="numpy")
def _settle(values, scales, lossless, queries, norms, cosine, places, uppers, ids, scores):
    """Score candidates in float64, best upper bound first, until no bound reaches the k-th score; fills the
    answers, in order, over -1 and -inf. Returns how many were scored."""
    last, count = ids.shape[1] - 1, 0
    for q in range(len(ids)):
        for c in range(places.shape[1]):
            if uppers[q, c] < scores[q, last] or uppers[q, c] == -np.inf:
                break
            row = places[q, c]
            step = np.float64(scales[row]) if lossless else 1.0
            value = score(values, row, step, queries[q], norms[q], cosine)
            count += 1
            i = last + 1  # the place behind all that are better
            while i > 0 and (value, -row) > (scores[q, i - 1], -ids[q, i - 1]):
                if i <= last:
                    scores[q, i], ids[q, i] = scores[q, i - 1], ids[q, i - 1]
                i -= 1
            if i <= last:
                scores[q, i], ids[q, i] = value, row
    return count


def _outward(bounds: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """float64 upper bounds from the device's, in units of the largest weight times the query's: 2^-21 covers
    the roundings of weight and product, 2^-60 weights so small that they underflow."""
    wide = bounds.astype(np.float64)
    return unit * (wide + np.where(np.isinf(wide), 0.0, np.abs(wide) * 2.0**-21 + 2.0**-60))


@cache
def _program(devices: tuple[Any, ...], room: int) -> Callable[..., Any]:
    """The compiled choice of candidates: each device goes through its blocks and keeps the `room` largest upper
    bounds. Within a block the bounds are chosen by the maxima of groups of buckets, then of buckets, then one
    by one. Each choice also tells the largest bound that it left out, so nothing rests on their agreement.
    """
    import jax
    import jax.numpy as jnp
    from jax import lax

    def choose(values, rest):
        """(values, indices) of the `room` largest, and the larger of `rest` and the next one."""
        if values.shape[1] <= room:
            return values, jnp.broadcast_to(jnp.arange(values.shape[1], dtype=jnp.int32), values.shape), rest
        values, at = lax.top_k(values, room + 1)
        return values[:, :room], at[:, :room].astype(jnp.int32), jnp.maximum(rest, values[:, room])

    def inside(at):
        """Indices of the members of buckets."""
        return (at[:, :, None] * BUCKET + jnp.arange(BUCKET, dtype=jnp.int32)).reshape(len(at), -1)

    def piece(codes, weights, residuals, lengths, live, queries, terms):
        count, (blocks, size) = len(queries), weights.shape
        spread, slip = terms[:, 0, None, None], terms[:, 1, None, None]

        def bounds(dots, weight, residual, length, usable):
            upper = weight * (dots.astype(jnp.float32) + (spread * residual + slip * length))
            return jnp.where(usable, upper, -jnp.inf)

        def step(held, block):
            number, codes, *columns = block
            dots = lax.dot_general(queries, codes, (((1,), (1,)), ((), ())), preferred_element_type=jnp.int32)
            dots = dots.reshape(count, -1, BUCKET)
            columns = [column.reshape(-1, BUCKET) for column in columns]
            buckets = bounds(dots, *columns).max(axis=2)
            _, at, rest = choose(buckets.reshape(count, -1, BUCKET).max(axis=2), held[2])
            at = inside(at)
            _, some, rest = choose(jnp.take_along_axis(buckets, at, axis=1), rest)
            at = jnp.take_along_axis(at, some, axis=1)
            picked = jnp.take_along_axis(dots, at[:, :, None], axis=1)
            values = bounds(picked, *(column[at] for column in columns)).reshape(count, -1)
            values, some, rest = choose(values, rest)
            at = jnp.take_along_axis(inside(at), some, axis=1) + number * size
            values, at = jnp.concatenate([held[0], values], axis=1), jnp.concatenate([held[1], at], axis=1)
            values, some, rest = choose(values, rest)
            return (values, jnp.take_along_axis(at, some, axis=1), rest), None

        empty = jnp.full((count, room), -jnp.inf, dtype=jnp.float32)
        start = (empty, jnp.zeros((count, room), dtype=jnp.int32), empty[:, 0])
        numbers = jnp.arange(blocks, dtype=jnp.int32)
        (values, at, rest), _ = lax.scan(step, start, (numbers, codes, weights, residuals, lengths, live))
        return values[None], at[None], rest[None]

    rows, same = jax.sharding.PartitionSpec("rows"), jax.sharding.PartitionSpec()
    specs = {"in_specs": (*[rows] * 5, same, same), "out_specs": rows, "check_vma": False}
    return jax.jit(jax.shard_map(piece, mesh=jax.sharding.Mesh(devices, ("rows",)), **specs))
