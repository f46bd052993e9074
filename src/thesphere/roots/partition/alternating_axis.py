"""Median cuts by colatitude and azimuth in turn."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thesphere.chart import pca_positions
from thesphere.geometry.coordinates import angles
from thesphere.roots.partition.problem import Divided, Problem


@dataclass(frozen=True)
class AlternatingAxis:
    """The chart is cut at the median colatitude, each half at its median azimuth, and so on: equal cells.

    Only three directions of the rows count, so that it is a poor index, but the fastest and the most even.
    The earlier system read its angles off the first three coordinates, which mean nothing; these are the
    angles of the chart of principal directions.
    """

    name: ClassVar[str] = "alternating_axis"

    def divide(self, problem: Problem) -> Divided:
        axes = [np.asarray(axis) for axis in angles(pca_positions(problem.rows))]
        labels, levels = np.zeros(len(problem), np.int32), 0
        waiting = [(np.arange(len(problem)), 0, problem.count, 0)]
        while waiting:  # rows, the first of their cells, how many cells, and the level
            members, first, cells, level = waiting.pop()
            labels[members] = first
            if cells < 2:
                continue
            levels = max(levels, level + 1)
            left = cells // 2
            order = members[np.argsort(axes[level % 2][members], kind="stable")]
            middle = len(members) * left // cells
            waiting.append((order[:middle], first, left, level + 1))
            waiting.append((order[middle:], first + left, cells - left, level + 1))
        return Divided(labels, levels)
