"""The compiled loops of the chart: cells on the sphere, forces between points, one step along the sphere.

Points attract along the edges of the neighbour graph and repel all others with the Cauchy kernel
w = 1 / (1 + (chord / scale)^2) of t-SNE (van der Maaten and Hinton 2008). Repulsion is exact within a cell
and the cells around it; the rest is a random sample, drawn once per cell, that stands for all (an unbiased
estimate, as in negative sampling). Every point moves from where all were before the step, so the result
does not depend on the number of threads.
"""

import numpy as np
from numba import njit

SAMPLES = 64  # points that stand for all outside the cells around
CAP = 192  # points that a run of near cells may add; of longer runs, a stride stands for all
MOMENTUM = np.float32(0.8)
RATE = np.float32(2)
LONGEST = np.float32(2)  # a step, in units of the scale
FAST = {"reassoc", "nsz", "contract", "arcp"}  # sums in vector order: no exactness is claimed here


@njit(cache=True, nogil=True)
def sort_cells(positions, first_cell, order, starts):
    """Sort points into cells: rings of equal height in theta, each cut into sectors of about that width.

    Args:
        positions: float32 [N, 3].
        first_cell: int64 [R + 1], number of the first cell of each ring; the last entry counts the cells.
        order: int32 [N], out: the points, cell by cell.
        starts: int64 [cells + 1], out: where each cell begins in `order`.
    """
    count, rings = len(positions), len(first_cell) - 1
    cells = np.empty(count, np.int32)
    starts[:] = 0
    for i in range(count):
        x, y, z = positions[i]
        theta = np.arctan2(np.sqrt(x * x + y * y), z)
        ring = min(rings - 1, int(theta * (rings / np.pi)))
        sectors = first_cell[ring + 1] - first_cell[ring]
        turn = np.arctan2(y, x) / (2 * np.pi)
        sector = min(sectors - 1, int((turn - np.floor(turn)) * sectors))
        cells[i] = first_cell[ring] + sector
        starts[cells[i] + 1] += 1
    for cell in range(len(starts) - 1):
        starts[cell + 1] += starts[cell]
    heads = starts.copy()
    for i in range(count):
        order[heads[cells[i]]] = i
        heads[cells[i]] += 1


@njit(cache=True, nogil=True)
def _hash(a, b):
    """A counter-based random uint64 (the finaliser of SplitMix64, Steele et al. 2014)."""
    z = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(b) * np.uint64(0xD1B54A32D192ED03)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def _add_run(first, last, draw, sorted_points, near, used):
    """Append sorted_points[:, first:last] to `near`; of a run beyond CAP, a stride that stands for all."""
    length = last - first
    stride = 1 + (length - 1) // CAP if length > 0 else 1
    head = first + np.int64(draw % np.uint64(stride))
    share = np.float32(length / max(1, (last - head + stride - 1) // stride))
    for j in range(head, last, stride):
        near[0, used] = sorted_points[0, j]
        near[1, used] = sorted_points[1, j]
        near[2, used] = sorted_points[2, j]
        near[3, used] = share
        used += 1
    return used


@njit(cache=True, nogil=True, fastmath=FAST)
def _repel(x, y, z, inverse, near, used):
    """Sums over the buffer: w, and w^2 times the chord vector from the other point."""
    total, fx, fy, fz = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for j in range(used):
        dx, dy, dz = x - near[0, j], y - near[1, j], z - near[2, j]
        w = np.float32(1) / (np.float32(1) + inverse * (dx * dx + dy * dy + dz * dz))
        mass = near[3, j] * w
        total += mass
        mass *= w
        fx += mass * dx
        fy += mass * dy
        fz += mass * dz
    return total, fx, fy, fz


@njit(cache=True, nogil=True)
def _runs_around(cell, ring, first_cell, starts, runs):
    """runs int64 [6, 2]: where the points of a cell and of those that touch it lie. Returns their number."""
    rings = len(first_cell) - 1
    sectors = first_cell[ring + 1] - first_cell[ring]
    sector = cell - first_cell[ring]
    found = 0
    for other in range(max(0, ring - 1), min(rings, ring + 2)):
        base, wide = first_cell[other], first_cell[other + 1] - first_cell[other]
        low = sector * wide // sectors - 1
        high = -(-(sector + 1) * wide // sectors) + 1
        if high - low >= wide:
            low, high = 0, wide
        if low < 0:  # the ring closes: what lies before its first sector is its last
            runs[found, 0], runs[found, 1] = starts[base + low + wide], starts[base + wide]
            found, low = found + 1, 0
        if high > wide:
            runs[found, 0], runs[found, 1] = starts[base], starts[base + high - wide]
            found, high = found + 1, wide
        runs[found, 0], runs[found, 1] = starts[base + low], starts[base + high]
        found += 1
    return found


@njit(cache=True, nogil=True)
def forces(cells, positions, scales, table, sorted_points, edges, push, draw, out):
    """Forces, in units of each point's scale, on the points of cells[0] ... cells[1] - 1.

    Args:
        cells: (first, last + 1).
        positions: float32 [N, 3].
        scales: float32 [N], radians.
        table: (first_cell, order, starts) as `sort_cells` made them.
        sorted_points: float32 [3, N], the positions in that order.
        edges: (starts, targets, weights) of the neighbour graph.
        push: factor of the repulsion.
        draw: random number of this step.
        out: float32 [N, 3], in place.

    Returns:
        The sum of w over the pairs of these points with all others, for the normaliser.
    """
    first_cell, order, starts = table
    edge_starts, targets, weights = edges
    count = len(positions)
    near = np.empty((4, 6 * (CAP + 1) + SAMPLES), np.float32)
    runs = np.empty((6, 2), np.int64)
    share = np.float32(count / SAMPLES)
    everything = 0.0
    ring = 0
    for cell in range(cells[0], cells[1]):
        while cell >= first_cell[ring + 1]:
            ring += 1
        if starts[cell] == starts[cell + 1]:
            continue
        found = _runs_around(cell, ring, first_cell, starts, runs)
        own = _hash(draw, cell)
        used = 0
        for run in range(found):
            used = _add_run(runs[run, 0], runs[run, 1], own, sorted_points, near, used)
        for sample in range(SAMPLES):
            j = np.int64(_hash(own, sample) % np.uint64(count))
            inside = False
            for run in range(found):
                inside |= runs[run, 0] <= j < runs[run, 1]
            if not inside:
                near[0, used], near[1, used] = sorted_points[0, j], sorted_points[1, j]
                near[2, used], near[3, used] = sorted_points[2, j], share
                used += 1
        for slot in range(starts[cell], starts[cell + 1]):
            i = order[slot]
            x, y, z = positions[i]
            inverse = np.float32(1) / (scales[i] * scales[i])
            total, fx, fy, fz = _repel(x, y, z, inverse, near, used)
            everything += total - 1  # less the point itself
            fx, fy, fz = push * fx, push * fy, push * fz
            for edge in range(edge_starts[i], edge_starts[i + 1]):
                j = targets[edge]
                dx, dy, dz = positions[j, 0] - x, positions[j, 1] - y, positions[j, 2] - z
                w = weights[edge] / (np.float32(1) + inverse * (dx * dx + dy * dy + dz * dz))
                fx += w * dx
                fy += w * dy
                fz += w * dz
            out[i, 0], out[i, 1], out[i, 2] = fx / scales[i], fy / scales[i], fz / scales[i]
    return everything


@njit(cache=True, nogil=True)
def move(first, last, positions, velocities, force, scales, heights, roles):
    """Step points first ... last - 1, in place: the tangent part of the force turns the velocity (in units of
    the point's scale), the point moves along it, back onto the sphere and into its zone.

    Args:
        heights: float32 [3, 2], the least and the largest z of each role's zone.
        roles: integers [N].
    """
    for i in range(first, last):
        x, y, z = positions[i]
        vx = MOMENTUM * velocities[i, 0] + RATE * force[i, 0]
        vy = MOMENTUM * velocities[i, 1] + RATE * force[i, 1]
        vz = MOMENTUM * velocities[i, 2] + RATE * force[i, 2]
        along = vx * x + vy * y + vz * z
        vx, vy, vz = vx - along * x, vy - along * y, vz - along * z
        shorter = LONGEST / max(LONGEST, np.sqrt(vx * vx + vy * vy + vz * vz))
        vx, vy, vz = vx * shorter, vy * shorter, vz * shorter
        velocities[i, 0], velocities[i, 1], velocities[i, 2] = vx, vy, vz
        x, y, z = x + scales[i] * vx, y + scales[i] * vy, z + scales[i] * vz
        length = np.sqrt(x * x + y * y + z * z)
        z = min(max(z / length, heights[roles[i], 0]), heights[roles[i], 1])
        across = np.sqrt(x * x + y * y)
        ring = np.sqrt(max(1 - z * z, np.float32(0)))
        if across == 0:  # on the axis every meridian is as good
            x, y, across = np.float32(1), np.float32(0), np.float32(1)
        positions[i, 0], positions[i, 1], positions[i, 2] = x / across * ring, y / across * ring, z
