"""train/joining.py: two packed collections of pairs as one."""

import json

import numpy as np

from thesphere.train import pairs
from thesphere.train.joining import join


def packed(folder, texts, ties, translations=()):
    made = pairs.Collection(sources={"all": {"texts": len(texts)}})
    for text, kind, lang in texts:
        made.group += 1
        made.add(text, kind, lang)
    for query, found, kind in ties:
        made.pair(made.rows[query.encode()], made.rows[found.encode()], kind)
    for foreign, english in translations:
        made.translation(foreign, english, "de", "help", "title")
    made.pack(folder)
    return folder


def test_joined_packs_have_every_text_once(tmp_path):
    one = packed(
        tmp_path / "one",
        [
            ("ask", "query", "en"),
            ("def f(): ...", "code", "en"),
            ("Gift", "word", "de"),
            ("same", "query", "en"),
        ],
        [("ask", "def f(): ...", "query-code"), ("same", "ask", "synonym")],
        [("Hallo", "hello")],
    )
    two = packed(
        tmp_path / "two",
        [("new", "query", "en"), ("same", "title", "en"), ("def g(): ...", "code", "en"), ("Gift", "word", "en"),
         ("mot", "word", "fr")],
        [("new", "def g(): ...", "query-code"), ("Gift", "new", "name-code"),
         ("same", "def g(): ...", "name-code")],
        [("Hallo", "hello")],
    )  # fmt: skip
    facts = join(one, two, tmp_path / "both")
    assert facts == json.loads((tmp_path / "both" / "pairs.json").read_text())
    arrays = np.load(tmp_path / "both" / "pairs.npz")
    ends = np.cumsum(arrays["length"].astype(int))
    raw = (tmp_path / "both" / "texts.bin").read_bytes()
    texts = [raw[a:b].decode() for a, b in zip([0, *ends], ends, strict=False)]
    assert texts == ["ask", "def f(): ...", "same", "hello", "new", "def g(): ...", "Gift", "Hallo", "mot"]
    assert facts["english"] == 6 and facts["texts"] == 9 and facts["langs"] == ["en", "de", "fr"]
    assert [facts["langs"][lang] for lang in arrays["lang"]] == ["en"] * 6 + ["de", "de", "fr"]
    kinds = [pairs.KINDS[kind] for kind in arrays["kind"]]
    assert kinds[2] == "query" and kinds[5] == "code" and kinds[6] == "word"
    tied = {
        (texts[a], texts[b]): facts["pair_kinds"][kind]
        for (a, b), kind in zip(arrays["pair"], arrays["pair_kind"], strict=True)
    }
    assert tied == {
        ("ask", "def f(): ..."): "query-code", ("same", "ask"): "synonym",
        ("new", "def g(): ..."): "query-code", ("same", "def g(): ..."): "name-code",
    }  # fmt: skip
    assert [[texts[n] for n in pair] for pair in arrays["parallel"]] == [["Hallo", "hello"]]
    assert (facts["pairs"], facts["parallel"]) == (4, 1)
    assert arrays["pair"].dtype == np.int32 and arrays["length"].dtype == np.uint16
    assert set(facts["sources"]) == {"all", "all (second)"}
    assert arrays["group"][4] > arrays["group"][[0, 1, 2, 3, 6, 7]].max()


def test_what_was_joined_can_be_joined_again(tmp_path) -> None:
    one = packed(tmp_path / "one", [("ask", "query", "en"), ("def f(): ...", "code", "en")],
                 [("ask", "def f(): ...", "query-code")], [])  # fmt: skip
    others = [
        packed(tmp_path / text, [(text, "query", "en"), (f"def {text}(): ...", "code", "en")],
               [(text, f"def {text}(): ...", "query-code")], [])
        for text in ("two", "three")
    ]  # fmt: skip
    out = tmp_path / "out"
    join(one, others[0], out)
    facts = join(out, others[1], out)
    back = pairs.read_pairs(out)
    asked = [(back.text(a).decode(), back.text(b).decode()) for a, b in back.arrays["pair"].tolist()]
    assert asked == [("ask", "def f(): ..."), ("two", "def two(): ..."), ("three", "def three(): ...")]
    assert list(facts["sources"]) == ["all", "all (second)", "all (second) (second)"]
