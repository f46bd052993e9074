"""The weight of an encoder's vectors beside words."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.encoders import Joining, fit_lsa
from thesphere.encoders.joining import standing
from thesphere.errors import InputError


def test_the_weight_is_its_formula() -> None:
    joining = Joining(10)
    assert joining.weight(0.4, 5) == pytest.approx(10 * 0.25 / 0.25)
    assert joining.weight(0, 10) == pytest.approx(1000) and Joining(0).weight(0, 1) == 0
    shares = np.linspace(0, 1, 11)
    weights = np.array([[joining.weight(words, 9 * vectors) for vectors in shares] for words in shares])
    assert (np.diff(weights[:, 1:], axis=0) < 0).all() and (np.diff(weights, axis=1) > 0).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1, 1), max_size=200), st.floats(-1, 1))
def test_standing_is_a_z_score_with_a_hundred_usual_texts(cosines: list[float], best: float) -> None:
    usual = [0.15 - 0.105] * 50 + [0.15 + 0.105] * 50
    every = np.array(usual + cosines)
    assert standing(best, np.array(cosines)) == pytest.approx(max(0, best - every.mean()) / every.std())


def test_an_encoder_carries_its_own() -> None:
    lsa = fit_lsa([b"a text to fit on", b"another text"])
    assert lsa.joining.asked
    heavier = replace(lsa, joining=Joining(scale=40))
    assert heavier.joining.weight(0.9, 10) == pytest.approx(40)
    assert heavier.encode([b"text"]).tolist() == lsa.encode([b"text"]).tolist()


@pytest.mark.parametrize("wrong", [{"scale": -1}, {"scale": float("nan")}, {"scale": float("inf")}])
def test_impossible_weights(wrong: dict) -> None:
    with pytest.raises(InputError, match="finite number"):
        Joining(**wrong)
