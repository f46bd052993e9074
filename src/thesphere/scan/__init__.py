"""Exact top-k by vectors: int8 codes with proved bounds, survivors scored again in float64."""

from thesphere.scan.answers import Result, all_bounds, all_exact, bounds, code_bounds, exact, search
from thesphere.scan.part import Metric, Part
from thesphere.scan.rows import Codes, encode

__all__ = [
    "Codes",
    "Metric",
    "Part",
    "Result",
    "all_bounds",
    "all_exact",
    "bounds",
    "code_bounds",
    "encode",
    "exact",
    "search",
]
