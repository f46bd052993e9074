"""train/clozes.py: questions made of sentences; training/pair_prose.py on small repositories made here."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesphere.train import clozes
from thesphere.train.question_words import LANGUAGES, QUESTION_WORDS

SENTENCES = {
    "de": "Das Observatorium wurde 1675 von König Karl in Greenwich gegründet.",
    "en": "The observatory was founded in 1675 by King Charles in Greenwich near London.",
    "fr": "La ville fut fondée en 1608 par Samuel de Champlain sur les rives du Saint-Laurent.",
    "es": "La universidad fue fundada en 1551 por Carlos I y tiene hoy 35.000 estudiantes.",
    "it": "La biblioteca fu aperta nel 1743 da Angelo Maria Querini nella città di Brescia.",
    "pt": "A universidade foi fundada em 1290 pelo rei Dinis na cidade de Lisboa.",
    "ro": "Universitatea a fost fondată în 1860 de Alexandru Ioan Cuza la Iași.",
    "pl": "Uniwersytet został założony w 1364 roku przez Kazimierza Wielkiego w Krakowie.",
    "cs": "Univerzita byla založena roku 1348 císařem Karlem v Praze na Starém Městě.",
    "ru": "Город был основан в 1703 году Петром на берегу реки Невы.",
    "uk": "Місто було засноване у 1256 році королем Данилом на честь сина Лева.",
    "el": "Το πανεπιστήμιο ιδρύθηκε το 1837 στην Αθήνα από τον βασιλιά Όθωνα.",
    "nl": "De universiteit werd in 1575 gesticht door Willem van Oranje in Leiden.",
    "tr": "Ali Kuşçu 1474 yılında İstanbul'da Ayasofya Medresesi'nde ders verdi.",
    "vi": "Trường đại học được thành lập vào năm 1906 tại Hà Nội bởi chính quyền Đông Dương.",
    "hi": "विश्वविद्यालय की स्थापना 1916 में पंडित मदन मोहन मालवीय ने वाराणसी में की थी।",
    "ar": "تأسست الجامعة في عام 1908 في مدينة القاهرة على يد مجموعة من المفكرين.",
    "ko": "이 대학교는 1885년에 선교사에 의해 서울에서 설립되었으며 학생은 3만 명이다.",
    "ja": "その図書館は1994年に開館し、多くの市民が利用している。",
    "zh": "这所大学创办于1898年，是中国近代第一所国立大学。",
    "th": "มหาวิทยาลัยแห่งนี้ก่อตั้งขึ้นในปี พ.ศ. 2460 โดยพระมหากษัตริย์ ณ กรุงเทพมหานคร",
}


def test_every_language_is_tried():
    assert set(SENTENCES) == LANGUAGES


@pytest.mark.parametrize("lang", SENTENCES)
def test_something_is_asked_for_and_taken_out(lang):
    sentence, words = SENTENCES[lang], QUESTION_WORDS[lang]
    spans = clozes.spans(sentence, lang)
    assert {"year"} <= {kind for _, _, kind in spans}
    made = [clozes.cloze(sentence, lang, turn=turn) for turn in range(12)]
    asked = {
        word for kind in ("year", "date", "count", "name", "place", "after") for word in getattr(words, kind)
    }
    asked |= {form.replace("{}", "").strip() for _, form in words.being}
    assert any(made)
    for each in filter(None, made):
        assert any(word.lower() in each.lower() for word in asked), each
        assert len(each.split()) <= 1 + clozes.MOST_WORDS + 4
    assert made == [clozes.cloze(sentence, lang, turn=turn) for turn in range(12)]
    digits = "1" if "1" in sentence else "2"
    year = [text for text in made if any(word.lower() in text.lower() for word in words.year)]
    assert all(
        sentence[a:b].strip() not in each for each in year for a, b, kind in spans[:1] if kind == "year"
    )
    assert digits in sentence


def test_german_puts_the_verb_second():
    made = {clozes.cloze(SENTENCES["de"], "de", turn=turn) for turn in range(60)}
    assert "Wann wurde das Observatorium von König Karl in Greenwich gegründet?" in made
    assert any(each.lower().startswith("wo wurde das observatorium 1675") for each in made)


def test_a_pronoun_stands_for_the_title():
    sentence = "Er wurde am 4. Mai 1842 in Weimar von seinen Eltern getauft und Johann genannt."
    made = [clozes.cloze(sentence, "de", "Goethe (Dichter)", turn) for turn in range(20)]
    assert all("goethe" in each.lower() and "Dichter" not in each for each in made if each)
    assert any(made)


def test_what_something_is_is_asked():
    made = {
        clozes.cloze("Die Donau ist ein sehr langer Fluss.", "de", turn=turn).lower() for turn in range(9)
    }
    assert any(each.startswith("was ist donau") for each in made)


@pytest.mark.parametrize(
    "sentence", ["", "Kurz.", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19", "x" * 500]
)
def test_what_is_no_sentence_is_not_asked_about(sentence):
    assert clozes.cloze(sentence, "de") == ""


def test_sentences_keep_ordinals_and_abbreviations():
    text = "Im 19. Jahrhundert gab es z. B. A. Einstein. Er war klug. „Ja!“ Der 2. Weltkrieg kam."
    assert clozes.sentences(text) == [
        "Im 19. Jahrhundert gab es z. B. A. Einstein.", "Er war klug.", "„Ja!“", "Der 2. Weltkrieg kam.",
    ]  # fmt: skip
    assert clozes.sentences("孙亮是人。他来了！") == ["孙亮是人。", "他来了！"]


def test_pieces_hold_every_sentence_once():
    paragraphs = [[f"Satz {n} in Absatz {m} ist lang genug." for n in range(9)] for m in range(4)]
    made = list(clozes.pieces(paragraphs, lambda count: 300, least=1))
    assert [each for piece in made for part in piece for each in part] == [
        x for part in paragraphs for x in part
    ]
    assert all(250 < len("\n".join(" ".join(part) for part in piece)) < 400 for piece in made[:-1])
    assert list(clozes.pieces([["Kurz."]], lambda count: 300)) == []


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200), st.sampled_from(sorted(LANGUAGES)), st.text(max_size=20))
def test_any_text_gives_a_question_or_none(text, lang, title):
    assert isinstance(clozes.cloze(text, lang, title), str)


def test_prose_of_small_repositories(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "training"))
    import pair_prose
    from pair_stage import Stage

    long = " ".join(["Die Stadt wurde im Jahr 1234 von Graf Otto am Ufer der Elbe gegründet."] * 2)
    lines = [f"{long.replace('1234', str(1200 + n))}" for n in range(8)]
    lines.insert(3, "== Literatur")
    lines.insert(3, "{| class=x")
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "Neue_Stadt.txt").write_text("\n".join(lines))
    stage = Stage(tmp_path, 0, lambda text: False)
    for article in pair_prose.klexikon(raw):
        assert article.title == "Neue Stadt"
        pair_prose.add_article(stage, article, 1.0)
    texts = [text.decode() for text in stage.made.texts]
    assert texts and not any("class=x" in text or "1206" in text for text in texts)
    data = {"data": [{"title": "Elbe", "paragraphs": [{"context": long, "qas": [
        {"question": "Wer gründete sie ?", "answers": [{"text": "Graf Otto"}]},
        {"question": "Was nicht?", "answers": [{"text": "x"}], "is_impossible": True}]}]}]}  # fmt: skip
    path = tmp_path / "train.json"
    path.write_text(json.dumps(data))
    pair_prose.squad(stage, "git:DRCD", "de", [path])
    asked = [
        stage.made.texts[query].decode()
        for (query, _), kind in stage.made.pairs.items()
        if kind == "question"
    ]
    assert asked == ["Wer gründete sie?"]
    names = {source.name.removeprefix("git:").split(" ")[0] for source in pair_prose.SOURCES}
    assert names == {repository.folder.removeprefix("git-") for repository in pair_prose.REPOSITORIES}
    assert "pair_prose" in sys.modules
