"""What an answer of an index tells: bytes within the budget, and how it came about."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_roots_search import clustered

from thesphere.errors import InputError
from thesphere.roots import Roots, RootsConfig
from thesphere.scan import encode

CELLS, WIDTH, K = 40, 20, 7
VECTORS, QUERIES, MORE = clustered(1, 2500, WIDTH), clustered(2, 60, WIDTH), clustered(3, 500, WIDTH)
BUILT = {
    metric: Roots.build(VECTORS, metric, config=RootsConfig(partitions=CELLS, flat_below=1), queries=MORE)
    for metric in ("cosine", "ip")
}
ROUTING = CELLS * encode(VECTORS[:1]).codes.shape[1]  # the coded weights of all cells


@settings(max_examples=60, deadline=None)
@given(
    metric=st.sampled_from(["cosine", "ip"]),
    asked=st.sampled_from([1, 3, 60]),  # alone, one after the other, and in a block
    budget=st.one_of(st.integers(0, 2 * ROUTING), st.integers(0, 400_000)),
    recall=st.sampled_from([None, 0.5, 0.95, 1.0]),
    threads=st.sampled_from([1, 2]),
)
def test_no_more_is_read_than_the_budget_and_all_of_it_is_told(metric, asked, budget, recall, threads):
    roots, queries = BUILT[metric], QUERIES[:asked]
    found = roots.search(queries, K, budget=budget, recall=recall, threads=threads)
    rows = found.cost.points_scanned * roots.row_bytes
    assert found.cost.bytes_scanned == rows + found.routing * asked <= budget * asked
    assert found.routing == (ROUTING if budget >= ROUTING else 0)
    for q in range(asked):
        alone = roots.search(queries[q], K, budget=budget, recall=recall)
        assert alone.cost.bytes_scanned <= budget
        assert np.array_equal(alone.ids[0], found.ids[q]) and alone.status[0] == found.status[q]
    roots.verify(found, queries)
    if recall is None and "partial" in found.status and budget >= ROUTING:
        assert (found.opened < CELLS)[[status == "partial" for status in found.status]].all()


@pytest.mark.parametrize("metric", ["cosine", "ip"])
def test_a_budget_below_what_choosing_cells_takes_reads_nothing(metric):
    roots = BUILT[metric]
    for queries in (QUERIES[0], QUERIES):
        found = roots.search(queries, K, budget=ROUTING - 1)
        assert set(found.status) == {"partial"} and np.isinf(found.gap).all() and (found.ids == -1).all()
        assert found.cost.bytes_scanned == found.cost.points_scanned == 0
        assert f"choosing cells alone reads {ROUTING} bytes; give that and about" in found.explain()
        roots.verify(found, queries)
    least = roots.search(QUERIES, K, budget=ROUTING + roots.row_bytes)
    assert least.cost.points_scanned == len(QUERIES) and (least.ids[:, 0] >= 0).all()
    none = roots.search(QUERIES, 0, budget=5)
    assert none.ids.shape == (60, 0) and set(none.status) == {"exact"} and none.cost.bytes_scanned == 0


def test_proved_answers_tell_all_that_was_read():
    """All slots for each query, and by cosine the cells that set the first bar."""
    for metric in ("cosine", "ip"):
        roots = BUILT[metric]
        cost = roots.search(QUERIES, K, exact=True).cost
        slots = len(QUERIES) * len(roots.cells.rows)
        assert cost.points_scanned == slots if metric == "ip" else slots < cost.points_scanned < 1.5 * slots
        assert cost.bytes_scanned == cost.points_scanned * roots.row_bytes


def facts(told: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in told.splitlines())


def test_explain_tells_what_the_fields_hold():
    roots = BUILT["cosine"]
    found = roots.search(QUERIES, K, recall=0.9)
    for q in (0, 59):
        told = facts(found.explain(q))
        assert told["status"] == f"{found.status[q]}, gap {found.gap[q]:g}"
        assert told["asked for"] == "a mean recall of 0.9"
        assert told["cells opened, or proved useless"] == f"{found.opened[q]} of {CELLS}"
        assert told["rule calibrated on"].startswith("queries")
        assert told["rows read"] == f"{found.cost.points_scanned}, all 60 queries together"
        assert told["bytes read"].startswith(f"{found.cost.bytes_scanned} of {found.cost.bytes_stored}, ")
        assert f"{60 * ROUTING} of them for choosing cells" in told["bytes read"]
    alone = facts(roots.search(QUERIES[0], K, budget=30_000).explain())
    assert alone["asked for"] == "all that the budget allows" and alone["budget"].startswith("30000 bytes")
    assert "rule calibrated on" not in alone and "together" not in "".join(alone.values())
    points = Roots.build(VECTORS, "cosine", config=RootsConfig(partitions=CELLS, flat_below=1))
    told = facts(points.search(QUERIES, K).explain())
    assert told["rule calibrated on"].startswith("points alone") and told["asked for"].endswith("0.95")


def test_explain_tells_of_scans_and_filters():
    roots, flat = BUILT["ip"], Roots.build(VECTORS, "ip")
    for found, read in (
        (flat.search(QUERIES[0], K), "all rows"),
        (flat.search(QUERIES[0], K, budget=10 * flat.row_bytes + 1), "the first 10 rows by id"),
        (roots.search(QUERIES[0], K, exact=True), "all cells"),
        (roots.search(QUERIES[0], K, recall=1.0), "all cells"),
        (roots.search(QUERIES[0], K, filter=[4, 5, 900]), "the 3 rows that the filter leaves, one by one"),
    ):
        told = facts(found.explain())
        assert told["read"] == read and told["rows read"] == str(found.cost.points_scanned)
        assert "cells opened, or proved useless" not in told
        assert told["why it stopped"] == (
            "the budget ended first" if "first 10" in read else "nothing was left"
        )
    assert facts(roots.search(QUERIES[0], K, recall=1.0).explain())["asked for"] == "a mean recall of 1"


def test_explain_tells_of_a_device():
    pytest.importorskip("jax")
    asked = BUILT["cosine"].search(QUERIES[:3], K, device=True, recall=0.9)
    assert facts(asked.explain())["asked for"] == "a mean recall of 0.9" and set(asked.status) == {"exact"}
    told = facts(BUILT["cosine"].search(QUERIES[:3], K, device=True).explain(2))
    assert "JAX's devices" in told["read"] and told["asked for"] == "the exact answer"
    assert told["rows read"] == f"{3 * 2500}, all 3 queries together"


def test_explain_refuses_a_query_that_was_not_asked():
    found = BUILT["cosine"].search(QUERIES[:3], K)
    for query in (-1, 3):
        with pytest.raises(InputError, match=f"query is {query}.*0 to 2"):
            found.explain(query)
