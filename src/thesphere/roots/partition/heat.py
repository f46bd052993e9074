"""Heat-bath sweeps over a sparse graph: each row in turn is drawn from its law given all others.

Couplings come as float32; what is summed and drawn from is float64, as the policy says.
"""

import numpy as np
from numba import njit

from thesphere.runtime import precision_of

PRECISE = np.dtype(precision_of("ising")).type
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True)
def _uniform(key, count):
    """Number `count` of the key's stream, float64 in [0, 1) (SplitMix64, Steele et al. 2014)."""
    h = np.uint64(key) + GOLDEN * np.uint64(count + 1)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    h ^= h >> np.uint64(31)
    return (h >> np.uint64(11)) * (1.0 / (1 << 53))


@njit(cache=True, nogil=True)
def _pulls(i, starts, targets, weights, labels, pull, touched):
    """Sum the couplings of row i by cell into pull [K] (zeros before); the cells met, and how many."""
    met = 0
    for e in range(starts[i], starts[i + 1]):
        cell = labels[targets[e]]
        seen = False
        if pull[cell] != 0:
            seen = True
        else:
            for m in range(met):
                seen |= touched[m] == cell
        if not seen:
            touched[met] = cell
            met += 1
        pull[cell] += weights[e]
    return met


@njit(cache=True, nogil=True)
def sweep_cells(starts, targets, weights, labels, sizes, room, temperature, key):
    """One sweep of the Potts model P(c) ~ exp(sum_{i<j} J_ij [c_i = c_j] / T) over labels with sizes <= room.

    Args:
        starts, targets, weights: the couplings J as compressed rows, symmetric.
        labels: int32 [N], in place.
        sizes: int64 [K], in place.
        room: most rows of a cell; a row in a fuller cell may stay.
        temperature: T; at 0 a row takes the best cell and stays where equal.
        key: uint64, another for each sweep.

    Returns:
        How many rows moved.
    """
    cells = len(sizes)
    pull, touched = np.zeros(cells, PRECISE), np.empty(cells, np.int32)
    open_cells = 0
    for cell in range(cells):
        open_cells += sizes[cell] < room
    draws = moves = 0
    for i in range(len(labels)):
        own = labels[i]
        met = _pulls(i, starts, targets, weights, labels, pull, touched)
        open_cells -= sizes[own] < room  # without row i; its own cell stays open to it
        sizes[own] -= 1
        own_met = False
        for m in range(met):
            own_met |= touched[m] == own
        if not own_met:
            touched[met] = own
            met += 1
        others = open_cells  # open cells without neighbours: pull 0 each
        top = 0.0
        for m in range(met):
            cell = touched[m]
            if cell != own and sizes[cell] < room:
                others -= 1
            if cell == own or sizes[cell] < room:
                top = max(top, pull[cell])
        chosen = own
        if temperature > 0:
            total = others * np.exp(-top / temperature)
            for m in range(met):
                cell = touched[m]
                if cell == own or sizes[cell] < room:
                    total += np.exp((pull[cell] - top) / temperature)
            left = _uniform(key, draws) * total
            draws += 1
            chosen = -1
            for m in range(met):
                cell = touched[m]
                if cell == own or sizes[cell] < room:
                    left -= np.exp((pull[cell] - top) / temperature)
                    if left < 0:
                        chosen = cell
                        break
            if chosen < 0 and others > 0:  # one of the cells without neighbours, all alike
                while chosen < 0:
                    cell = int(_uniform(key, draws) * cells)
                    draws += 1
                    if sizes[cell] >= room or cell == own:
                        continue
                    fresh = True
                    for m in range(met):
                        fresh &= touched[m] != cell
                    if fresh:
                        chosen = cell
            elif chosen < 0:  # rounding left nothing over
                chosen = own
        else:
            for m in range(met):
                cell = touched[m]
                if sizes[cell] < room and pull[cell] > pull[chosen]:
                    chosen = cell
        for m in range(met):
            pull[touched[m]] = 0
        labels[i] = chosen
        open_cells += sizes[own] < room
        open_cells -= sizes[chosen] < room
        sizes[chosen] += 1
        open_cells += sizes[chosen] < room
        moves += chosen != own
    return moves


@njit(cache=True, nogil=True)
def shed(order, starts, targets, weights, labels, sizes, room):
    """Move rows out of cells that hold more than `room`, in the given order (int64), each to the open cell that
    pulls it most, or to the smallest."""
    cells = len(sizes)
    pull, touched = np.zeros(cells, PRECISE), np.empty(cells, np.int32)
    for i in order:
        own = labels[i]
        if sizes[own] <= room:
            continue
        met = _pulls(i, starts, targets, weights, labels, pull, touched)
        chosen = -1
        for m in range(met):
            cell = touched[m]
            if sizes[cell] < room and pull[cell] > 0 and (chosen < 0 or pull[cell] > pull[chosen]):
                chosen = cell
        for m in range(met):
            pull[touched[m]] = 0
        if chosen < 0:
            chosen = np.argmin(sizes)
        sizes[own] -= 1
        sizes[chosen] += 1
        labels[i] = chosen


@njit(cache=True, nogil=True)
def sweep_spins(
    members, part, number, starts, targets, weights, spins, magnet, stiffness, aim, temperature, key
):
    """One sweep of the Ising model P(s) ~ exp(-E / T) over the members of one part of the graph,

        E = -sum_{i<j} J_ij s_i s_j + stiffness / 2n (sum_i s_i - aim)^2.

    J > 0 pulls like rows to one side: low E is a small cut, and the last term holds the sides' sizes.

    Args:
        members: int64 [n], the rows in the order of visits.
        part: integers [N]; edges to rows of another part than `number` do not count.
        starts, targets, weights: the couplings J as compressed rows, symmetric.
        spins: int8 [N], +1 or -1, in place.
        magnet: sum of the members' spins.
        temperature: T; at 0 a spin follows its field and stays where that is 0.
        key: uint64, another for each sweep.

    Returns:
        The sum of the members' spins after it.
    """
    for place in range(len(members)):
        i = members[place]
        others = magnet - spins[i]
        field = PRECISE(-stiffness * (others - aim) / len(members))
        for e in range(starts[i], starts[i + 1]):
            if part[targets[e]] == number:
                field += PRECISE(weights[e]) * spins[targets[e]]
        spin = spins[i]
        if temperature > 0:
            up = 1 / (1 + np.exp(min(-2 * field / temperature, 700.0)))
            spin = 1 if _uniform(key, place) < up else -1
        elif field != 0:
            spin = 1 if field > 0 else -1
        spins[i] = spin
        magnet = others + spin
    return magnet


@njit(cache=True, nogil=True)
def fields(members, part, number, starts, targets, weights, spins):
    """float64 [n]: how strongly each member's own side holds it, s_i sum_j J_ij s_j within its part."""
    out = np.zeros(len(members), PRECISE)
    for place in range(len(members)):
        i = members[place]
        for e in range(starts[i], starts[i + 1]):
            if part[targets[e]] == number:
                out[place] += weights[e] * spins[i] * spins[targets[e]]
    return out
