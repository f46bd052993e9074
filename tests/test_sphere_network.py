"""The network of the sphere encoders: JAX against the equations in NumPy float64, its file, its padding."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("jax")

from thesphere.errors import FormatError
from thesphere.nn import sphere
from thesphere.nn.grams import Rows, patches
from thesphere.nn.sphere_shape import (
    EPSILON,
    LIGHT,
    SPHERE,
    SphereShape,
    checked_sphere_shape,
    lengthening,
    places,
    random_weights,
)

ROWS = Rows(300, 400, 20)
CONES = SphereShape(
    width=32, layers=2, heads=4, cones=2, hidden=48, rows=ROWS, table=16, shells=8, embedding=24
)
GATED = replace(CONES, heads=0, hidden=0, reach=3)
TEXT = "Größe of the window: naïve readers count BYTES, 数える; others do not (always).".encode()


def given(shape: SphereShape, rarity, text: bytes, n: int):
    found = patches(np.frombuffer(text, np.uint8), np.array([0, len(text)]), shape.rows)
    count = len(found.at)
    gram = np.full((count, 52), -1, np.int32)
    for p in range(count):
        own = found.gram[found.gram_begins[p] : found.gram_begins[p + 1]]
        gram[p, : len(own)] = own
    words = sphere.Words(
        found.word, gram, found.size.astype(np.int32), rarity[found.word].max(1).astype(np.int32)
    )
    distinct, symbol = np.zeros((1, n), np.int32), np.zeros((1, n), np.int32)
    distinct[0, :count], symbol[0, :count] = np.arange(count), found.symbol
    return words, sphere.Windows(distinct, symbol, np.array([count], np.int32)), found


def quantise(x):
    step = np.maximum(np.abs(x).max(-1, keepdims=True), 1e-12) / 127
    return np.round(x / step) * step


def by_hand(tensors, shape: SphereShape, found):
    """(passage, h, prominence) by the equations, in float64 but for the steps of 8-bit integers."""
    w = {name: value.astype(np.float64) for name, value in tensors.items()}

    def product(x, name):
        return quantise(x) @ (w[name] * w[name + ".scale"][:, None]).T

    def normed(x, gain):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + EPSILON) * w[gain]

    n, table = len(found.at), w["table"] / 127
    own = table[found.word[:, 0]] + table[found.word[:, 1]] + table[found.symbol]
    grams = np.stack(
        [
            table[found.gram[a:b]].sum(0) / np.sqrt(max(b - a, 1))
            for a, b in zip(found.gram_begins[:-1], found.gram_begins[1:], strict=True)
        ]
    )
    x = (
        product(np.concatenate([own, grams], 1), "input")
        * (1 + 0.1 * np.log1p(found.size.astype(float)))[:, None]
    )
    hint = tensors["rarity"][found.word].max(1).astype(float)
    quarter = shape.width // 4
    at = np.arange(n)[:, None] * 10000.0 ** (-2 * np.arange(quarter) / (shape.width / 2))
    shell = hint[:, None] * np.pi / shape.shells * np.arange(quarter)
    x = x + w["place"] * np.concatenate([np.sin(at), np.cos(at), np.sin(shell), np.cos(shell)], 1)
    for layer in range(shape.layers):
        z = product(normed(x, f"{layer}.norm"), f"{layer}.attend" if shape.heads else f"{layer}.in")
        if shape.heads:
            size, per = shape.head, shape.heads // shape.cones
            keys = shape.cones * size
            out = np.zeros((n, shape.width))
            for head in range(shape.heads):
                cone = head // per
                q = z[:, head * size : (head + 1) * size]
                k = z[:, shape.width + cone * size : shape.width + (cone + 1) * size]
                v = z[:, shape.width + keys + cone * size : shape.width + keys + (cone + 1) * size]
                logits = q @ k.T / np.sqrt(size)
                logits -= w[f"{layer}.slope"][head] * np.abs(np.arange(n)[:, None] - np.arange(n))
                weights = np.exp(logits - logits.max(1, keepdims=True))
                out[:, head * size : (head + 1) * size] = weights / weights.sum(1, keepdims=True) @ v
            x = x + product(out, f"{layer}.out")
            wide = product(normed(x, f"{layer}.wide_norm"), f"{layer}.up")
            x = x + product(np.maximum(wide, 0) ** 2, f"{layer}.down")
        else:
            value, gate = z[:, : shape.width], z[:, shape.width :]
            mixed, half = np.zeros_like(value), shape.reach // 2
            for i in range(n):
                for t in range(shape.reach):
                    if 0 <= i + t - half < n:
                        mixed[i] += w[f"{layer}.kernel"][t] * value[i + t - half]
            x = x + product(mixed * gate / (1 + np.exp(-gate)), f"{layer}.out")
    h = normed(x, "norm")
    prominence = np.log1p(np.exp(h @ w["prominence"] + w["prominence.bias"]))
    return (prominence @ h / n) @ (w["raw"] * w["raw.scale"][:, None]).T, h, prominence


@pytest.mark.parametrize("shape", [CONES, GATED], ids=["cones", "gated"])
def test_the_network_follows_its_equations_whatever_the_padding(shape):
    fresh = sphere.quantised(sphere.init(shape, 3), shape, np.arange(ROWS.words) % shape.shells)
    own, parameters, rarity = sphere.parameters_of(fresh)
    assert own == shape
    results = []
    for n in (24, 32):
        words, windows, found = given(shape, rarity, TEXT, n)
        made = sphere.forward(parameters, shape, words, sphere.word_vectors(parameters, words), windows)
        results.append(made)
        passage, h, prominence = by_hand(fresh, shape, found)
        count = len(h)
        # a step of 8-bit integers here and there falls the other way
        assert np.abs(np.asarray(made.passages)[0] - passage).max() < 0.02 * np.abs(passage).max()
        assert np.abs(np.asarray(made.h)[0, :count] - h).max() < 0.1
        assert np.abs(np.asarray(made.prominence)[0, :count] - prominence).max() < 0.02
        assert not np.asarray(made.prominence)[0, count:].any()
    assert np.allclose(*(np.asarray(made.passages) for made in results), rtol=0, atol=1e-5)


def test_the_mean_of_the_patches_is_the_passage_and_heads_have_their_shapes():
    parameters = sphere.init(CONES, 0)
    words, windows, found = given(CONES, np.zeros(ROWS.words, int), TEXT, 32)
    made = sphere.forward(parameters, CONES, words, sphere.word_vectors(parameters, words), windows)
    mean = np.asarray(sphere.patch_embeddings(parameters, made))[0, : len(found.at)].mean(0)
    passage = np.asarray(made.passages)[0]
    assert np.abs(mean - passage).max() < 0.02 * np.abs(passage).max()
    assert sphere.shells(parameters, made).shape == (1, 32, CONES.shells)
    assert sphere.cones(parameters, made).shape == (1, 32, CONES.cones)


def test_a_window_without_patches_is_zero_and_finite():
    parameters = sphere.init(GATED, 0)
    words, windows, _ = given(GATED, np.zeros(ROWS.words, int), TEXT, 32)
    empty = windows._replace(count=np.zeros(1, np.int32))
    made = sphere.forward(parameters, GATED, words, sphere.word_vectors(parameters, words), empty)
    assert not np.asarray(made.passages).any()


def test_what_is_stored_stays_what_it_is():
    first = sphere.quantised(sphere.init(CONES, 1), CONES, np.zeros(ROWS.words))
    again = sphere.quantised(sphere.parameters_of(first)[1], CONES, first["rarity"])
    assert first.keys() == again.keys() == CONES.tensors().keys()
    for name, value in first.items():
        assert value.dtype == again[name].dtype
        assert np.array_equal(value, again[name]) or np.allclose(value, again[name], rtol=1e-6)


@pytest.mark.parametrize("shape", [SPHERE, LIGHT, CONES, GATED])
def test_the_shape_is_read_from_the_file(shape):
    assert checked_sphere_shape(random_weights(shape, 0), "it") == shape


def test_sizes_of_the_shipped_files():
    assert sum(v.nbytes for v in random_weights(SPHERE, 0).values()) <= 13_100_000
    assert sum(v.nbytes for v in random_weights(LIGHT, 0).values()) <= 8_200_000


def damaged(kind: str):
    tensors = random_weights(CONES, 0)
    if kind == "missing":
        del tensors["1.down.scale"]
    elif kind == "surplus":
        tensors["more"] = np.zeros(3, np.float32)
    elif kind == "type":
        tensors["raw"] = tensors["raw"].astype(np.int16)
    elif kind == "shape":
        tensors["0.up"] = tensors["0.up"][:, :-1]
    elif kind == "nan":
        tensors["norm"][3] = np.nan
    elif kind == "shell":
        tensors["rarity"][0] = CONES.shells
    elif kind == "rows":
        tensors["rows"] = np.array([300, 400])
    elif kind == "heads":
        for layer in range(2):
            tensors[f"{layer}.slope"] = np.zeros(3, np.float32)
    return tensors


@pytest.mark.parametrize("kind", ["missing", "surplus", "type", "shape", "nan", "shell", "rows", "heads"])
def test_wrong_tensors_are_refused_in_one_line(kind):
    with pytest.raises(FormatError) as caught:
        checked_sphere_shape(damaged(kind), "FILE")
    assert str(caught.value).startswith("FILE")
    assert "\n" not in str(caught.value)


def test_sines_begin_at_zero_and_lengthening_at_one():
    place, shell = places(CONES)
    assert place.shape == (256, 16)
    assert shell.shape == (8, 16)
    for table in (place, shell):
        assert np.array_equal(table[0], [0] * 8 + [1] * 8)
    assert lengthening()[0] == 1
    assert np.isclose(lengthening()[16], 1 + 0.1 * np.log(17))
