"""Answers of which a filter leaves a part: how an index gives them, and what is told of them."""

from dataclasses import replace

from thesphere.encoders import Encoder
from thesphere.sphere.cones import cones_for_text
from thesphere.sphere.hits import Hits
from thesphere.sphere.roots import PointIndex
from thesphere.sphere.search import search_text
from thesphere.sphere.view import View
from thesphere.types import Cost


def filtered_cones(
    view: View,
    indexes: tuple[PointIndex, PointIndex | None],
    text: str,
    k: int,
    encoder: Encoder,
    *,
    recall: float | None,
    budget: int | None,
) -> Hits:
    """The first k windows of a filtered view. Vectors weigh what they weigh without the filter: that is asked
    first, for half of the budget.

    Args:
        view: what the filter leaves.
        indexes: of all points, and over the view; without the latter every point that is left is scored.
    """
    half = None if budget is None else budget // 2
    whole = cones_for_text(view.whole, indexes[0], text, 1, encoder, recall=recall, budget=half)
    if indexes[1] is None:
        hits = search_text(view, text, k, encoder=encoder, whole=whole)
    else:
        wanted = None if view.few else recall  # no rule is calibrated for so few
        left = None if half is None or budget is None else budget - half
        hits = cones_for_text(view, indexes[1], text, k, encoder, recall=wanted, budget=left, whole=whole)
    request = replace(hits.request, recall=recall, budget=budget)
    first = {"read first, for the weight of vectors": f"{whole.cost.bytes_scanned} bytes"}
    cost = _sum(hits.cost, whole.cost)
    return replace(hits, request=request, account=first | hits.account, cost=cost)


def _sum(cost: Cost, more: Cost) -> Cost:
    """What two answers cost together, of the same structures."""
    return Cost(
        bytes_scanned=cost.bytes_scanned + more.bytes_scanned,
        bytes_stored=max(cost.bytes_stored, more.bytes_stored),
        points_scanned=cost.points_scanned + more.points_scanned,
        rescored=cost.rescored + more.rescored,
        milliseconds=cost.milliseconds + more.milliseconds,
    )


def filtered(hits: Hits, view: View) -> Hits:
    """The same answer, saying which filter it passed."""
    if not view.filter:
        return hits
    left = f"{view.filter}: {view.documents:,} of {view.whole.documents:,} documents"
    request = replace(hits.request, filter=view.filter)
    return replace(hits, request=request, account={"only": left, **hits.account})
