"""The descent that turns a neighbour graph and a start into a chart.

The loss is that of t-SNE (van der Maaten and Hinton 2008) with 1/k for every neighbour (as Boehm et al. 2022)
and chords of the unit sphere for distances. The plane lets a map grow until its points fit; the sphere's area
is fixed, so here the kernel shrinks instead: from half a radian, where the continents are sorted, to the
typical distance of neighbours, sqrt(area / N), where each point finds its place. That schedule replaces early
exaggeration.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from thesphere.chart.forces import forces, move, sort_cells
from thesphere.geometry import generator
from thesphere.neighbours.graph import Edges
from thesphere.progress import SILENT, Progress
from thesphere.runtime.threads import workers

WIDEST = 0.5  # scale of the kernel at the start, radians
SHRINKING = 0.8  # share of the epochs in which the kernel shrinks
PER_CELL = 24  # points of a cell, on average
RESORT = 4  # epochs between sortings into cells
TASKS = 16  # parts of an epoch that workers take; a fixed number, so that sums do not depend on the workers


def descend(
    start: np.ndarray,
    edges: Edges,
    *,
    epochs: int,
    scales: np.ndarray,
    heights: np.ndarray,
    roles: np.ndarray,
    key: int,
    progress: Progress = SILENT,
) -> np.ndarray:
    """Positions after `epochs` steps of all points: float32 [N, 3].

    Args:
        start: float32 [N, 3], norm 1, N at least 2.
        edges: neighbour graph; a row's weights sum to about 1.
        scales: float32 [N], the kernel's last scale at each point, radians.
        heights: numbers [3, 2], least and largest z of each role.
        roles: integers [N], 0 ... 2.
        key: of the samples.
    """
    count = len(start)
    first_cell = rings(count)
    order, starts = np.empty(count, np.int32), np.empty(first_cell[-1] + 1, np.int64)
    positions, velocities, force = start.copy(), np.zeros_like(start), np.zeros_like(start)
    points = np.linspace(0, count, TASKS + 1).astype(np.int64)
    draws = generator(key, 2).integers(0, 2**63, epochs)
    widths = np.log(np.maximum(WIDEST / scales, 1))
    graph, bounds = tuple(edges), np.asarray(heights, np.float32)
    normaliser = 0.0
    progress.start("chart", epochs, "epoch")
    with ThreadPoolExecutor(workers()) as pool:
        for epoch in range(epochs):
            left = max(0.0, 1 - epoch / (SHRINKING * epochs))
            now = (scales * np.exp(widths * left)).astype(np.float32)
            if epoch % RESORT == 0:
                sort_cells(positions, first_cell, order, starts)
                cells = np.searchsorted(starts, points[1:])  # so that every task has about as many points
                cells = np.concatenate([[0], cells[:-1], first_cell[-1:]])
            table, columns = (first_cell, order, starts), np.ascontiguousarray(positions[order].T)

            def pull(task: int, push: float, epoch=epoch, now=now, columns=columns, cells=cells, table=table):
                some = (cells[task], cells[task + 1])
                weight, draw = np.float32(push), draws[epoch]
                return float(forces(some, positions, now, table, columns, graph, weight, draw, force))

            def step(task: int, now=now) -> None:
                some = points[task], points[task + 1]
                move(*some, positions, velocities, force, now, bounds, roles)

            if epoch == 0:  # later on, the normaliser of the step before is close enough
                normaliser = sum(pool.map(lambda task: pull(task, 0.0), range(TASKS)))
            push = count / max(normaliser, 1e-6)
            normaliser = sum(pool.map(lambda task, push=push: pull(task, push), range(TASKS)))
            list(pool.map(step, range(TASKS)))
            progress.advance(1)
    progress.finish()
    return positions


def rings(count: int) -> np.ndarray:
    """int64 [R + 1]: the number of the first cell of each ring, about `PER_CELL` of `count` points a cell."""
    height = np.sqrt(4 * np.pi * PER_CELL / count)
    number = max(1, round(np.pi / height))
    middles = (np.arange(number) + 0.5) * np.pi / number
    sectors = np.maximum(1, np.rint(2 * np.pi * np.sin(middles) / height)).astype(np.int64)
    return np.concatenate([[0], np.cumsum(sectors)])
