"""The weight of an encoder's vectors beside words."""

from dataclasses import replace

import pytest

from thesphere.encoders import Joining, fit_lsa
from thesphere.errors import InputError


def test_the_weight_is_its_formula_and_rises_with_both() -> None:
    joining = Joining(scale=10, doubt=2, trust=3, floor=0.5)
    assert joining.weight(0.5, 0.8) == pytest.approx(10 * 0.25 * 0.512)
    assert joining.weight(0.5, 0.1) == joining.weight(0.5, 0.5) == pytest.approx(10 * 0.25 * 0.125)
    weights = [
        joining.weight(flatness / 10, coverage / 10) for flatness in range(11) for coverage in (5, 7, 10)
    ]
    assert joining.weight(1, 1) == max(weights) == 10 and min(weights) == 0
    assert Joining(scale=0).weight(1, 1) == 0


def test_an_encoder_carries_its_own() -> None:
    lsa = fit_lsa([b"a text to fit on", b"another text"])
    assert lsa.joining.asked
    heavier = replace(lsa, joining=Joining(scale=40))
    assert (
        heavier.joining.weight(1, 1) == 40
        and heavier.encode([b"text"]).tolist() == lsa.encode([b"text"]).tolist()
    )


@pytest.mark.parametrize(
    "wrong", [{"scale": -1}, {"doubt": float("nan")}, {"trust": float("inf")}, {"floor": 1.1}]
)
def test_impossible_weights(wrong: dict) -> None:
    with pytest.raises(InputError, match="finite numbers"):
        Joining(**wrong)
