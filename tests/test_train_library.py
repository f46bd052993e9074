"""Training texts as the network sees them: nothing of a text is lost when its words are kept once."""

import numpy as np

from thesphere.nn.grams import Rows, patches
from thesphere.train import library as module
from thesphere.train.library import read_library, shell_hints

ROWS = Rows(500, 700, 30)
TEXTS = [b"the cat saw the other cat", b"", b"Le chat, the cat.", "猫が the 猫".encode(), b"dogs", b"... 7"]


def test_each_patch_has_the_rows_of_its_word(monkeypatch):
    data = np.frombuffer(b"".join(TEXTS), np.uint8)
    begins = np.cumsum([0, *map(len, TEXTS)])
    plain = patches(data, begins, ROWS)
    for size in (10, 1 << 20):  # slices of a few bytes, and one
        monkeypatch.setattr(module, "_SLICE", size)
        made = read_library(data, begins, ROWS, 16)
        assert np.array_equal(made.begins, plain.begins)
        assert np.array_equal(made.word[made.distinct], plain.word)
        assert np.array_equal(made.size[made.distinct], plain.size)
        assert np.array_equal(made.symbol, plain.symbol)
        for patch, word in enumerate(made.distinct):
            own = plain.gram[plain.gram_begins[patch] : plain.gram_begins[patch + 1]]
            assert made.gram[word, : len(own)].tolist() == own.tolist()
            assert (made.gram[word, len(own) :] == -1).all()
        # eight words, no word, and the first cat of two, which has grams that the second has not
        assert len(np.unique(made.distinct)) == len(made.word) == 8 + 1 + 3
        assert np.array_equal(made.hint, made.rarity[made.word].max(1))


def test_the_hint_is_the_share_of_patches_with_more_frequent_words():
    rng = np.random.default_rng(0)
    word = np.stack([rng.permutation(400)[:200], 400 + rng.permutation(400)[:200]], 1)  # no collisions
    counts = rng.integers(1, 50, 200)
    hints = shell_hints(word, counts, 800, 8)
    for which in range(200):
        share = counts[counts > counts[which]].sum() / counts.sum()
        assert hints[word[which]].max() == min(7, int(share * 8))
    unseen = np.setdiff1d(np.arange(800), word)
    assert (hints[unseen] == 7).all()


def test_given_rarity_is_used_and_texts_can_be_left_out_of_the_count():
    data, begins = np.frombuffer(b"".join(TEXTS), np.uint8), np.cumsum([0, *map(len, TEXTS)])
    given = np.arange(ROWS.words).astype(np.uint8) % 16
    assert np.array_equal(read_library(data, begins, ROWS, 16, rarity=given).rarity, given)
    last = read_library(data, begins, ROWS, 16, counted=slice(4, 5))
    assert (np.sort(np.unique(last.rarity)) == [0, 15]).all()  # "dogs" is all there is
