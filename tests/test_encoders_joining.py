"""The weight of an encoder's vectors beside words."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.encoders import Joining, fit_lsa
from thesphere.encoders.joining import lead
from thesphere.errors import InputError


def test_the_weight_is_its_formula() -> None:
    joining = Joining(10)
    assert joining.weight(0.4, 0.23) == pytest.approx(10 * 0.25 / 0.25)
    assert joining.weight(0, 0) == pytest.approx(20) and Joining(0).weight(0, 1) == 0
    shares = np.linspace(0, 1, 11)
    weights = np.array([[joining.weight(words, vectors) for vectors in shares] for words in shares])
    assert (np.diff(weights, axis=0) < 0).all() and (np.diff(weights, axis=1) > 0).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.25, 0.8, 1.0]), max_size=30))
def test_a_lead_is_that_over_the_tenth_or_the_last(cosines: list[float]) -> None:
    ranked = sorted(cosines, reverse=True)
    expected = ranked[0] - ranked[min(9, len(ranked) - 1)] if ranked else 0.0
    assert lead(np.array(cosines)) == expected


def test_an_encoder_carries_its_own() -> None:
    lsa = fit_lsa([b"a text to fit on", b"another text"])
    assert lsa.joining.asked
    heavier = replace(lsa, joining=Joining(scale=40))
    assert heavier.joining.weight(0.9, 0.98) == pytest.approx(40)
    assert heavier.encode([b"text"]).tolist() == lsa.encode([b"text"]).tolist()


@pytest.mark.parametrize("wrong", [{"scale": -1}, {"scale": float("nan")}, {"scale": float("inf")}])
def test_impossible_weights(wrong: dict) -> None:
    with pytest.raises(InputError, match="finite number"):
        Joining(**wrong)
