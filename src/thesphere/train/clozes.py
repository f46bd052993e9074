"""Questions made of the sentences of prose, in many languages: something is taken out and asked for.

`cloze` takes a date, a number, a name or something quoted out of a sentence and puts a question word in front or
in its place; or it asks what the first thing named is. Everything is chosen by hash: the same for the same
sentence. Questions are such as people type: shortened, sometimes in small letters, word order not always right.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from thesphere.train.pairs import squeezed
from thesphere.train.questions import mark

SHORTEST, LONGEST = 30, 420
"""Characters of a sentence that is asked about (a third of it where nothing is written between words)."""
MOST_WORDS = 14

_UNSPACED = frozenset("zh ja th".split())
_UNCASED = frozenset("zh ja th ko hi ar".split())
_FULL_STOP = re.compile(
    r"(?<=[.!?…])[\"“”»’)]*\s+(?=[^\Wa-z_]|[\"„“«(\d¿¡])|(?<=[。！？।؟])(?![」』”’）])\s*"
)
_ABBREVIATED = re.compile(
    r"(?:(?<!\w)(?:\d{1,2}|\w|[A-Z]{1,2}|bzw|ca|St|Dr|Nr|Mr|Mrs|Ms|Prof|vgl|etwa|gest|geb|Jh|Jhd|Jr|Sr|Abs|Art"
    r"|usw|sog|Hl|Mio|Mrd|bes|eigtl|griech|lat|engl|franz|dt|ital|span|arab|chin|Inc|vs|Sta|Sto|tzv|np|tzw|ok"
    r"|им|гг|др|св|руб|млн|млрд|тыс|av|ap|env|art|fig|pp?|vol|cap|pag|Sra?|Dra|Mme|Mlle|MM|Hr|Fr|Frl"
    r"|Jan|Feb|Apr|Aug|Sept?|Okt|Oct|Nov|Dez|Dec))\.$"
)
_BRACKETS = re.compile(r"\s*(?:\([^()]*\)|\[[^\[\]]*\]|（[^（）]*）)")
_LATIN = re.compile(r"[A-Za-z][A-Za-z0-9.&'-]*(?: [A-Za-z][A-Za-z0-9.&'-]*){0,3}")
_WORD = re.compile(r"\S+")
_EDGES = ' \t(),;:–—-.!?…。，；：、！？।؟،؛"„“”«»'
_CLAUSE = re.compile(r"[,;:，；：،؛]\s*|\s+[–—-]\s+")
_PART = re.compile("[、，；：]")
_BLANK = re.compile(" ")
_LINKS = frozenset(
    """und aber oder denn sondern sowie doch et mais ou donc or y pero o e ma anzi però mas i a ale lub oraz
    и но а или да şi iar dar și и та але ve ama en maar of και αλλά và nhưng and but so""".split()
)
_SUBORDINATE = frozenset(
    """dass daß weil wenn obwohl während nachdem da ob damit sodass der die das den dem deren dessen welche
    welcher welches wo wie als um bevor indem sofern falls was wobei wodurch womit wonach denen zu dat
    omdat toen als waar terwijl hoewel die that which who whose where when while because although if
    since as""".split()
)
_BACKWARDS = frozenset(
    """dabei dort dazu dieser diese dieses diesem diesen dafür dadurch damit danach hier so auch sein seine ihr
    ihre ihnen er sie es davon darauf jedoch allerdings außerdem zudem schließlich später daher deshalb
    dann""".split()
)
_SMALL_START = _BACKWARDS | frozenset(
    """durch mit von bei nach unter über zwischen trotz seit neben gegen ohne wegen während als wenn weil
    obwohl etwa rund fast viele einige manche mehrere andere alle beide jeder jede jedes man etwas heute
    damals zunächst häufig oft manchmal meistens besonders bereits schon erst noch nur allein für aus
    auf an am im in zu zum zur vor hinter bis um ab der die das den dem des ein eine einen einem einer
    eines kein keine entsprechend ebenso allerdings insgesamt ursprünglich bekannt weitere""".split()
)
_SKIPPED = _LINKS | frozenset(
    "jedoch allerdings außerdem zudem schließlich daher deshalb also auch dabei so".split()
)
_ARTICLE = re.compile(
    r"(?<!\w)(?:[Dd](?:er|ie|as|en|em|es)|[Ee]in(?:e[nmrs]?)?|(?:[Ss]ein|[Ii]hr)e?[nmrs]?)"
    r"(?: [a-zäöüß]{3,}(?:en?|er|es|em))? $"
)
_QUOTED = re.compile(r"[„“\"«»「『《”]([^„“”\"«»「」『』《》]{2,50})[“”\"«»」』》]")
_NUMBER = re.compile(r"(?<![\w.,:/-])\d{1,3}(?:[.,\u00a0\u202f ]?\d{3})*(?:[.,]\d+)?(?= [^\W\d_]{2,})")
_DATE = re.compile(
    r"(?<!\w)\d{1,2}(?:er|º|°|\.)? (?:de |d'|d’)?[^\W\d_]{3,12}\.?(?: (?:de |del )?\d{3,4})?(?= |[,.;)]|$)|"
    r"(?<!\w)[A-Z][a-z]{2,8} \d{1,2}, \d{4}(?!\w)"
)
_YEAR = re.compile(r"(?<![\w.,:/-])(?:1\d{3}|20[0-3]\d|[5-9]\d{2})(?!\w|[.,:]\d|-\d)")
_UPPER = r"(?:[^\W\d_a-zа-яёіїєґα-ωάέήίόύώßäöüàâçéèêëîïôùûœæñáíóúìòãõăășțąćęłńśźżčďěňřšťůýžđơưğışç][\w’'.-]*)"
_NAME = re.compile(
    rf"(?<![\w.-]){_UPPER}(?: (?:(?:von|van|der|den|de|del|della|di|da|do|dos|of|la|le|les|du|y|e|af|bin|ibn"
    rf"|al) )?{_UPPER}){{0,3}}"
)  # fmt: skip


@dataclass(frozen=True)
class Words:
    """How a language asks.

    Args:
        year, date, count, name, place: question words; of several, one is chosen.
        after: what follows a preposition in a question ("von wem").
        order: "second" where the finite verb follows the question word, "front" where the question word comes
            first, "place" where it stands where its answer would.
        verbs: finite verbs, for "second".
        leads: what may stand before a year or date and goes with it.
        places: prepositions of place, which go with their name when it is asked where.
        prepositions: others.
        starts: pronouns at the start of a sentence that stand for what the article is about.
        being: a pattern of "X is a ..." with one group, and the question for X.
    """

    year: tuple[str, ...]
    date: tuple[str, ...]
    count: tuple[str, ...]
    name: tuple[str, ...]
    place: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    order: str = "front"
    verbs: frozenset[str] = frozenset()
    leads: str = ""
    places: frozenset[str] = frozenset()
    prepositions: frozenset[str] = frozenset()
    starts: frozenset[str] = frozenset()
    being: tuple[tuple[str, str], ...] = ()
    counted: tuple[tuple[str, str], ...] = field(default=())
    """Patterns of scripts without capitals, and which of year, date, count, name or place they are."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _many(words: str) -> tuple[str, ...]:
    return tuple(words.split("|"))


_HAN = "一-鿿"
_JA_IS = r"([^、。\d]{2,24}?)(?:（[^（）]*）)?(?:とは、|は、)[^。]*(?:である|です|だ)。?$"
_ZH_IS = r"([^，。是\d]{2,12}?)(?:（[^（）]*）)?，?是(?:一|指|中|位|由)[^。]*。?$"
QUESTION_WORDS: dict[str, Words] = {
    "de": Words(
        _many("wann|in welchem Jahr|wann|seit wann"), _many("wann|an welchem Tag"), _many("wie viele"),
        _many("was|wer|was"), _many("wo|in welcher Region|wo"),
        _many("wem|was|welchem|welcher"), "second",
        _set("""ist war sind waren wird wurde werden wurden hat hatte haben hatten kann konnte können konnten muss
            musste müssen mussten soll sollte sollen sollten darf durfte dürfen gilt galt gelten galten liegt lag
            liegen lagen gibt gab gaben besteht bestand bestehen bestanden gehört gehörte gehören gehörten kommt
            kam kommen kamen steht stand stehen standen lebt lebte leben lebten bildet bildete bilden bildeten
            führt führte führen führten wollte wollten heißt hieß heißen nennt nannte nennen nannten begann
            beginnt beginnen begannen entstand entstehen entstanden entsteht erhielt erhielten erhält befindet
            befand befinden befanden dient dienen diente dienten fand findet finden fanden machte macht machen
            blieb bleibt bleiben geht ging gehen gingen ließ lässt lassen ließen hielt hält halten starb starben
            starb schrieb nahm nimmt nahmen zeigt zeigte zeigen zeigten wuchs wächst wachsen stieg stammt stammen
            umfasst umfasste beträgt betrug verwendet besitzt besitzen besaß besaßen enthält enthalten erreicht
            erreichte erreichen braucht brauchen sieht sehen sah trägt tragen trug fressen frisst bekam bekommt
            wohnen wohnten reicht erschien gewann siegte verlor setzte setzt brachte bringt zählt zählen spielt
            spielte spielen entwickelte entwickelten verlor unterscheidet unterscheiden bedeutet verfügt"""),
        r"(?:(?:im|seit dem|ab dem|bis zum|in den) Jahren? |(?:seit|um|ab|bis|von|nach|vor|am|vom|zum|Ende|Anfang"
        r"|Mitte|Im|Seit|Um|Ab|Bis|Nach|Vor|Am|Vom) |Im Jahre? )?",
        _set("in im bei an auf"), _set("von vom mit für durch gegen zu zur zum aus nach unter über beim um"),
        _set("Er Sie"),
        ((r"(?:Der |Die |Das |Eine? )?(.{2,50}?) (?:ist|sind) (?:ein|eine|einer|der|die|das)\b", "was ist {}"),
         (r"(.{4,40}?) war (?:ein|eine|der|die) ", "wer war {}")),
    ),
    "nl": Words(
        _many("wanneer|in welk jaar"), _many("wanneer|op welke dag"), _many("hoeveel"), _many("wie|wat|welke"),
        _many("waar"), _many("wie|wat|welke"), "second",
        _set("""is was zijn waren wordt werd worden werden heeft had hebben hadden kan kon kunnen konden moet
            moest moeten moesten ligt lag liggen geeft gaf bestaat bestond kwam komt staat stond leeft leefde
            begon ging gaat kreeg vond bleef maakte maakt"""),
        r"(?:(?:in|In|sinds|Sinds|op|Op|vanaf|tot|rond) (?:het jaar )?)?", _set("in te bij op"),
        _set("van met voor door tegen naar uit over om"), _set("Hij Zij Ze Het"),
        ((r"(?:De |Het |Een )?(.{2,50}?) is (?:een|de|het)\b", "wat is {}"),),
    ),
    "en": Words(
        _many("when|in what year|when"), _many("when|on what date"), _many("how many"), _many("who|what|which"),
        _many("where|in which place"), _many("whom|what|which"), "second",
        _set("is was are were has had have can could will would did does do must may should might"),
        r"(?:(?:in|In|since|Since|on|On|by|By|from|until|around|during) (?:the year )?)?", _set("in at near"),
        _set("of with for by from to against about on"), _set("He She It They"),
        ((r"(?:The |An? )?(.{2,50}?) is (?:an?|the)\b", "what is {}"),),
    ),
    "fr": Words(
        _many("quand|en quelle année|en quelle année"), _many("quand|à quelle date"), _many("combien de"),
        _many("qui|qu'est-ce qui|quel|quelle"), _many("où"), _many("qui|quoi|quel"),
        leads=r"(?:(?:en|En|depuis|Depuis|dès|vers|Vers|le|Le|du|au|l'année|avant|après) )?",
        places=_set("à en dans au"), prepositions=_set("de par avec pour contre sur chez"),
        starts=_set("Il Elle"),
        being=((r"(?:Les? |La |Une? |L['’])?(.{2,50}?) (?:est|sont) (?:une?|des|les?|la|l['’])\b",
                "qu'est-ce que {}"),),
    ),
    "es": Words(
        _many("cuándo|en qué año|en qué año"), _many("cuándo|en qué fecha"), _many("cuántos"),
        _many("quién|qué|cuál"), _many("dónde"), _many("quién|cuál"),
        leads=r"(?:(?:en|En|desde|Desde|hacia|el|El|del|hasta|antes de|después de) )?",
        places=_set("en"), prepositions=_set("de por con para contra sobre a"), starts=_set("Él Ella"),
        being=((r"(?:El |La |Los |Las |Una? )?(.{2,50}?) (?:es|son) (?:una?|el|la|los|las)\b", "qué es {}"),),
    ),
    "it": Words(
        _many("quando|in che anno|in quale anno"), _many("quando|in che data"), _many("quanti"),
        _many("chi|che cosa|quale"), _many("dove"), _many("chi|che cosa|quale"),
        leads=r"(?:(?:nel|Nel|dal|Dal|del|il|Il|verso il|fino al) )?", places=_set("a in nel ad"),
        prepositions=_set("di da con per su contro"), starts=_set("Egli Ella Esso Essa"),
        being=((r"(?:Il |L[aeo] |I |Gli |Una? |L['’])?(.{2,50}?) è (?:una?|uno|il|la|lo)\b", "che cos'è {}"),),
    ),
    "pt": Words(
        _many("quando|em que ano|em qual ano"), _many("quando|em que data"), _many("quantos"),
        _many("quem|o que|qual"), _many("onde"), _many("quem|que|qual"),
        leads=r"(?:(?:em|Em|desde|Desde|no|No|de|até) )?", places=_set("em no na"),
        prepositions=_set("de por com para contra sobre a do da pelo pela"), starts=_set("Ele Ela"),
        being=((r"(?:O |A |Os |As |Uma? )?(.{2,50}?) (?:é|são) (?:uma?|o|a|os|as)\b", "o que é {}"),),
    ),
    "ro": Words(
        _many("când|în ce an"), _many("când|la ce dată"), _many("câți|câte"), _many("cine|ce|care"),
        _many("unde"), _many("cine|ce|care"), leads=r"(?:(?:în|În|din|Din|la|La|pe|până în) (?:anul )?)?",
        places=_set("în la din"), prepositions=_set("de cu pentru pe prin despre către"), starts=_set("El Ea"),
        being=((r"(.{2,50}?) este (?:un|o)\b", "ce este {}"),),
    ),
    "pl": Words(
        _many("kiedy|w którym roku"), _many("kiedy|którego dnia"), _many("ile"), _many("kto|co|który"),
        _many("gdzie"), _many("kogo|czego|kim|czym"), leads=r"(?:(?:w|W|od|do|po|przed|około|Od|Do) )?(?:roku )?",
        places=_set("w we na"), prepositions=_set("z ze od do dla przez o po przed pod nad"),
        starts=_set("On Ona Ono"),
        being=((r"(.{2,50}?) (?:jest|to|– to|są) ", "co to jest {}"),),
    ),
    "cs": Words(
        _many("kdy|ve kterém roce"), _many("kdy"), _many("kolik"), _many("kdo|co|který"), _many("kde"),
        _many("kom|čem|koho|čeho"), leads=r"(?:(?:v|V|od|do|po|před|roku|Roku) )?(?:roce )?",
        places=_set("v ve na"), prepositions=_set("z ze od do pro o po před pod nad s se"),
        being=((r"(.{2,50}?) (?:je|jsou) ", "co je {}"),),
    ),
    "ru": Words(
        _many("когда|в каком году"), _many("когда|какого числа"), _many("сколько"), _many("кто|что|какой"),
        _many("где"), _many("ком|чём|кем|чем|кого|чего"),
        leads=r"(?:(?:в|В|с|С|до|по|около|от|к) )?", places=_set("в во на"),
        prepositions=_set("из с со от до для о об у под над при к по"), starts=_set("Он Она Оно"),
        being=((r"(.{2,50}?) — (?:это )?[^\W\d]", "что такое {}"),),
    ),
    "uk": Words(
        _many("коли|в якому році"), _many("коли"), _many("скільки"), _many("хто|що|який"), _many("де"),
        _many("кого|чого|ким|чим"), leads=r"(?:(?:у|в|У|В|з|З|до|по|від) )?", places=_set("у в на"),
        prepositions=_set("із з зі від до для про під над при"), starts=_set("Він Вона Воно"),
        being=((r"(.{2,50}?) — (?:це )?[^\W\d]", "що таке {}"),),
    ),
    "el": Words(
        _many("πότε|ποια χρονιά"), _many("πότε|ποια ημερομηνία"), _many("πόσοι|πόσα|πόσες"),
        _many("ποιος|τι|ποια"), _many("πού"), _many("ποιον|τι"),
        leads=r"(?:(?:το|Το|από το|στις|Στις|στα|μέχρι το) )?", places=_set("στο στη στην στον στα στις"),
        prepositions=_set("από με για προς"),
        being=((r"(.{2,50}?) είναι (?:ένας|μια|μία|ένα|ο|η|το) ", "τι είναι {}"),),
    ),
    "tr": Words(
        _many("hangi yılda|ne zaman"), _many("ne zaman|hangi tarihte"), _many("kaç"), _many("kim|ne|hangi"),
        _many("nerede"), order="place", starts=_set("O"),
        being=((r"(.{2,40}?), [^.]*(?:dır|dir|dur|dür|tır|tir|tur|tür)\.?$", "{} nedir"),),
    ),
    "vi": Words(
        _many("năm nào|khi nào"), _many("ngày nào|khi nào"), _many("bao nhiêu"), _many("ai|cái gì|gì"),
        _many("ở đâu"), order="place", leads=r"(?:(?:năm|vào năm|từ năm|ngày|Năm|Vào năm) )?",
        places=_set("ở tại"), starts=_set("Ông Bà Nó"), being=((r"(.{2,50}?) là (?:một|loài|tên) ", "{} là gì"),),
    ),
    "hi": Words(
        _many("किस वर्ष|कब"), _many("कब"), _many("कितने"), _many("क्या|कौन"), order="place",
        counted=((r"(?:सन् |वर्ष )?(?:1\d{3}|20\d{2})(?!\d)(?: में)?", "year"), (r"\d[\d,.]*(?= [^\W\d])", "count")),
        being=((r"(.{2,40}?) (?:एक|का|की) .* (?:है|हैं)\s*।?$", "{} क्या है"),),
    ),
    "ar": Words(
        _many("في أي عام|متى"), _many("متى"), _many("كم"), _many("ما|من|ماذا"), _many("أين"),
        counted=((r"(?:في )?(?:عام|سنة|العام|منذ عام) [\d٠-٩]{3,4}", "year"),
                 (r"(?:في |يوم )?[\d٠-٩]{1,2} [^\W\d]{3,9} [\d٠-٩]{4}", "date"),
                 (r"(?<![\d٠-٩.,/])[\d٠-٩]{1,3}(?:[,.][\d٠-٩]+)*(?= [^\W\d])", "count")),
        being=((r"(.{2,40}?) (?:هو|هي) ", "ما هو {}"), (r"(.{2,40}?)،? (?:مدينة|قرية|بلدية) ", "أين تقع {}")),
    ),
    "ko": Words(
        _many("몇 년|언제"), _many("언제|며칠"), _many("몇"), _many("무엇|누구"), order="place",
        counted=((r"\d{3,4}년(?: \d{1,2}월)?(?: \d{1,2}일)?", "year"), (r"\d{1,2}월 \d{1,2}일", "date"),
                 (r"\d[\d,.]*(?=[가-힣])", "count")),
        being=((r"([^,]{2,30}?)[은는](?:,)? .*(?:이다|다)\.?$", "{}란 무엇인가"),),
    ),
    "ja": Words(
        _many("何年|いつ"), _many("いつ|何月何日"), _many("いくつ|何"), _many("何|誰|どれ"),
        order="place",
        counted=((r"(?:紀元前|西暦)?\d{1,4}年(?:（[^（）]*）)?(?:\d{1,2}月)?(?:\d{1,2}日)?", "year"),
                 (r"\d{1,2}月\d{1,2}日", "date"), (r"(?:約|およそ)?\d[\d,.]*(?:万|億|千)?", "count"),
                 (r"[ァ-ヴー・＝]{4,24}", "name")),
        being=((_JA_IS, "{}とは何ですか"), (_JA_IS, "{}とは何か")),
    ),
    "zh": Words(
        _many("哪一年|什么时候|哪年"), _many("什么时候|哪一天"), _many("多少"), _many("什么|哪个|谁"),
        _many("哪里|什么地方"), order="place",
        counted=((r"(?:公元)?前?\d{1,4}年(?:\d{1,2}月)?(?:\d{1,2}日)?", "year"), (r"\d{1,2}月\d{1,2}日", "date"),
                 (r"[^\W\d_]{2}[一二三四五六七八九十]{1,3}年(?=[，春夏秋冬正一二三四五六七八九十])", "year"),
                 (rf"(?:约|近)?\d[\d,.]*(?:多|余)?(?:万|亿|千)?(?=[{_HAN}])", "count"),
                 (r"[一二三四五六七八九十百千万两]{2,7}(?=[个名人座条次位部所家种户里匹斤万])", "count"),
                 (rf"(?<=[是为叫])[{_HAN}]{{2,8}}(?=[，。；])", "name"),
                 (rf"(?<=在)[{_HAN}]{{2,5}}(?=[，。；])", "place")),
        being=((_ZH_IS, "{}是什么"), (_ZH_IS, "什么是{}")),
    ),
    "th": Words(
        _many("ปีใด|เมื่อไร|ปีอะไร"), _many("เมื่อไร|วันที่เท่าไร"), _many("เท่าไร|กี่"), _many("อะไร|ใคร"),
        order="place",
        counted=((r"(?:ในปี )?(?:พ\.ศ\.|ค\.ศ\.) ?\d{3,4}", "year"),
                 (r"\d{1,2} [฀-๛.]{4,10} (?:พ\.ศ\. )?\d{4}", "date"),
                 (r"\d[\d,.]*(?= ?[฀-๛])", "count")),
        being=((r"(.{2,30}?) ?(?:คือ|เป็น)", "{}คืออะไร"),),
    ),
}  # fmt: skip
LANGUAGES = frozenset(QUESTION_WORDS)

Span = tuple[int, int, str]
"""Start, end and what is asked for: year, date, count, name or place."""


def letters(text: str) -> int:
    """How many letters a text has; the vowel signs of Hindi, Thai and Arabic are some."""
    return sum(each.isalpha() or each > "\u02ff" and unicodedata.category(each)[0] == "M" for each in text)


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph; not parted after an ordinal number, an initial or an abbreviation."""
    found: list[str] = []
    start = 0
    line = squeezed(text)
    for match in _FULL_STOP.finditer(line):
        part = line[start : match.end()].strip()
        if part and not _ABBREVIATED.search(part):
            found.append(part)
            start = match.end()
    return found + ([line[start:].strip()] if line[start:].strip() else [])


def spans(sentence: str, lang: str) -> list[Span]:
    """What can be asked for, the telling ones before single names; none overlaps one before it."""
    words = QUESTION_WORDS[lang]
    found: list[Span] = []

    def put(start: int, end: int, kind: str) -> None:
        if all(end <= a or start >= b for a, b, _ in found):
            found.append((start, end, kind))

    if words.counted:
        for pattern, kind in words.counted:
            for match in re.finditer(pattern, sentence):
                put(*match.span(), kind)
    else:
        for pattern, kind in ((_DATE, "date"), (_YEAR, "year"), (_NUMBER, "count")):
            for match in pattern.finditer(sentence):
                lead = re.search(f"{words.leads}$", sentence[: match.start()]) if kind != "count" else None
                put(lead.start() if lead else match.start(), match.end(), kind)
    for match in _QUOTED.finditer(sentence):
        put(*match.span(), "name")
    for match in _LATIN.finditer(sentence) if lang in _UNCASED else ():
        if len(match[0]) > 3:
            put(*match.span(), "name")
    if lang not in _UNCASED:
        names = sorted(_NAME.finditer(sentence), key=lambda match: (" " not in match[0], match.start()))
        for match in names:
            article = _ARTICLE.search(sentence[: match.start()]) if lang == "de" else None
            if article and " " not in match[0]:
                put(article.start(), match.end(), "name")
            elif match.start() or " " in match[0]:
                before = sentence[: match.start()].rsplit(maxsplit=1)[-1:] or [""]
                kind = "place" if before[0] in words.places and words.place else "name"
                held = before[0] in words.places | words.prepositions
                put(match.start() - held * (len(before[0]) + 1), match.end(), kind)
    return found


def cloze(sentence: str, lang: str, title: str = "", turn: int = 0) -> str:
    """A question that the sentence answers, or "" where nothing in it can be asked for.

    Args:
        sentence: of a passage that is to be found.
        lang: one of LANGUAGES.
        title: what the article is about, "" for nothing that could stand in a question.
        turn: another turn may give another question.
    """
    words = QUESTION_WORDS[lang]
    text = squeezed(_BRACKETS.sub("", sentence))
    size = len(text) * (3 if lang in _UNSPACED else 1)
    if not SHORTEST <= size <= LONGEST or letters(text) < 0.55 * len(text):
        return ""

    def choose(sides: int, place: int) -> int:
        return mark(f"{turn} {sentence}", sides, place)

    name = _BRACKETS.sub("", title).strip()
    first = text.split(maxsplit=1)
    many = lang == "de" and first[:1] == ["Sie"] and re.match(r"(?:sind|\w+en)\b", first[-1])
    if name and len(first) == 2 and first[0] in words.starts and not many:
        text = f"{name} {first[1]}"
    asked = _being(text, words, choose)
    found = spans(text, lang)
    telling = [each for each in found if each[2] != "name" or len(text[each[0] : each[1]].split()) > 1]
    if words.order == "second":
        found = [each for each in found if _main(text, each, words)]
        telling = [each for each in telling if each in found]
    if choose(4, 0) and telling:
        found = telling
    if asked and (not found or choose(4, 1) == 0):
        made = asked
    elif found:
        made = _asked(text, found[choose(len(found), 2)], lang, choose)
    else:
        return ""
    typed = choose(10, 3)
    if name and name.lower() not in made.lower() and lang not in _UNSPACED | {"hi", "ko"}:
        backwards = text.split()[0].lower() in _BACKWARDS
        made = f"{name} {made}" if typed < 3 or backwards else made
    made = squeezed(made).strip(_EDGES)
    if len(made) < (6 if lang in _UNSPACED else 10):
        return ""
    return _ended(made, lang, typed)


def _being(text: str, words: Words, choose: Callable[[int, int], int]) -> str:
    """ "What is X", for a sentence that begins by saying so."""
    found = [(match[1], form) for pattern, form in words.being if (match := re.match(pattern, text))]
    if not found:
        return ""
    what, form = found[choose(len(found), 4)]
    what = what.strip(_EDGES)
    return (
        form.format(what) if 1 < len(what) and len(what.split()) < 6 and not re.search("[,;，]", what) else ""
    )


def _asked(text: str, span: Span, lang: str, choose: Callable[[int, int], int]) -> str:
    """The clause around a span with a question word for it."""
    words = QUESTION_WORDS[lang]
    start, end, kind = span
    forms = getattr(words, kind) or words.name
    word = forms[choose(len(forms), 5)]
    taken = text[start:end].split()
    if kind == "count" and lang not in _UNCASED:  # what is counted goes with the question word
        after = _WORD.match(text, end + 1)
        if after and (after[0][0].isupper() or len(after[0]) > 4):
            word, end = f"{word} {after[0].strip(_EDGES)}", after.end()
    elif kind == "name" and words.after and len(taken) > 1 and taken[0] in words.prepositions | words.places:
        word = f"{taken[0]} {words.after[choose(len(words.after), 6)]}"
    if lang == "zh" and text[start - 1 : start] == "为" and word == "什么":  # "why"
        word = "哪个"
    left, right = _clause(text, start, end, lang)
    if words.order == "second" and not words.verbs.intersection(text[left:right].split()):
        left, right = 0, len(text)
    before, behind = text[left:start].strip(), text[end:right].strip()
    if lang in _UNSPACED:
        return f"{text[left:start]}{word}{text[end:right]}" if right - left < 70 else ""
    if words.order == "place":
        most = 5 + choose(MOST_WORDS - 4, 7)
        one, two = before.split(), behind.split()
        keep = max(most - len(two), most // 2)
        one = one[-keep:]
        return " ".join([*one, word, *two[: max(most - len(one), 0)]])
    front = _small_start([each for each in before.split() if each.strip(_EDGES)], text, left)
    back = [each for each in behind.split() if each.strip(_EDGES)]
    rest = front + back
    while rest and rest[0].lower() in _SKIPPED:
        rest = rest[1:]
    if words.order == "second":
        at = next((n for n, each in enumerate(rest) if each in words.verbs), None)
        if at is not None:
            rest = [rest[at], *rest[:at], *rest[at + 1 :]]
    rest = _shortened(rest, 6 + choose(MOST_WORDS - 6, 8), choose, words.order == "second")
    telling = sum(len(each) > 4 or each[0].isupper() or each[0].isdigit() for each in rest)
    return " ".join([word, *rest]) if telling > 2 else ""


def _main(text: str, span: Span, words: Words) -> bool:
    """Whether a span stands in a main clause with a verb that a question can begin with."""
    found = [0, *(each.end() for each in _CLAUSE.finditer(text)), len(text)]
    left = max(cut for cut in found if cut <= span[0])
    right = min(cut for cut in found if cut >= span[1])
    part = text[left:right].strip(_EDGES).split()
    if not words.verbs.intersection(part):
        return False
    return part[0] not in _SUBORDINATE and part[:1] != ["Dass"] or not left and part[0][0].isupper()


def _small_start(front: list[str], text: str, left: int) -> list[str]:
    """An article, preposition or adverb at the start of a sentence in small letters."""
    if front and left == 0 and text.startswith(front[0]):
        first = front[0].lower()
        if first in _SMALL_START or len(first) < 4 and not front[0].isupper():
            return [first, *front[1:]]
    return front


def _clause(text: str, start: int, end: int, lang: str) -> tuple[int, int]:
    """Where the clause around a span begins and ends; clauses beside it are taken in while it is short."""
    found = {"ja": _PART, "th": _BLANK}.get(lang, _CLAUSE).finditer(text)
    cuts = [0, *(each.end() for each in found if each.start() >= end or each.end() <= start), len(text)]
    least = {"zh": 18, "ja": 26, "th": 26}.get(lang, 40)
    left = max(cut for cut in cuts if cut <= start)
    right = min(cut for cut in cuts if cut >= end)
    while right - left < least + end - start and (left or right < len(text)):
        if left:
            left = max(cut for cut in cuts if cut < left)
        else:
            right = min(cut for cut in cuts if cut > right)
    return left, right


def _shortened(words: list[str], most: int, choose: Callable[[int, int], int], verb_last: bool) -> list[str]:
    """At most `most` words: either the first ones, with the last if it may be a verb, or those that say most."""
    words = [word if word[:-1].isdigit() else word.strip(_EDGES) or word for word in words]
    if len(words) <= most:
        return words
    if choose(4, 9):
        last = words[-1:] if verb_last and words[-1].islower() and len(words[-1]) > 4 else []
        words = words[: most - len(last)]
        while len(words) > 4 and len(words[-1]) < 4 and words[-1].islower():
            words.pop()
        return words + last
    worth = [(each[0].isupper() or each[0].isdigit(), len(each), mark(each, 100)) for each in words[1:]]
    kept = sorted(sorted(range(len(worth)), key=worth.__getitem__, reverse=True)[: most - 1])
    return [words[0], *(words[1 + place] for place in kept)]


def _ended(made: str, lang: str, typed: int) -> str:
    """With a capital and a question mark mostly, sometimes in small letters without one."""
    if typed in (0, 5):
        return made.lower()
    if typed in (1, 6):
        return made
    stop = {"zh": "？", "ja": "？", "ar": "؟", "el": ";", "th": ""}.get(lang, "?")
    opened = "¿" if lang == "es" else ""
    space = " " if lang == "fr" else ""
    return f"{opened}{made[0].upper()}{made[1:]}{space}{stop}"


def pieces(
    paragraphs: list[list[str]], most: Callable[[int], int], least: int = 250
) -> Iterator[list[list[str]]]:
    """Paragraphs, given as their sentences, joined or parted to passages.

    Args:
        paragraphs: of one section.
        most: bytes of passage 0, 1, ...
        least: of the last passage; what is shorter is left out.
    """
    here: list[list[str]] = []
    size = count = 0
    for paragraph in paragraphs:
        fresh: list[str] = []
        for sentence in paragraph:
            length = len(sentence.encode("utf-8", "ignore")) + 1
            if size >= least and size + length > most(count):
                yield [each for each in [*here, fresh] if each]
                here, fresh, size, count = [], [], 0, count + 1
            fresh.append(sentence)
            size += length
        here.append(fresh)
        if size > 0.7 * most(count):
            yield [each for each in here if each]
            here, size, count = [], 0, count + 1
    if size >= least:
        yield [each for each in here if each]
