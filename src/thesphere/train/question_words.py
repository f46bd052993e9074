"""How languages ask: their question words, and the words that tell how a sentence is built.

Tables alone, read by `thesphere.train.clozes`; a language that is added here is one that questions are made in.
"""

from dataclasses import dataclass, field

LINKS = frozenset(
    """und aber oder denn sondern sowie doch et mais ou donc or y pero o e ma anzi però mas i a ale lub oraz
    и но а или да şi iar dar și и та але ve ama en maar of και αλλά và nhưng and but so""".split()
)
SUBORDINATE = frozenset(
    """dass daß weil wenn obwohl während nachdem da ob damit sodass der die das den dem deren dessen welche
    welcher welches wo wie als um bevor indem sofern falls was wobei wodurch womit wonach denen zu dat
    omdat toen als waar terwijl hoewel die that which who whose where when while because although if
    since as""".split()
)
BACKWARDS = frozenset(
    """dabei dort dazu dieser diese dieses diesem diesen dafür dadurch damit danach hier so auch sein seine ihr
    ihre ihnen er sie es davon darauf jedoch allerdings außerdem zudem schließlich später daher deshalb
    dann""".split()
)
SMALL_START = BACKWARDS | frozenset(
    """durch mit von bei nach unter über zwischen trotz seit neben gegen ohne wegen während als wenn weil
    obwohl etwa rund fast viele einige manche mehrere andere alle beide jeder jede jedes man etwas heute
    damals zunächst häufig oft manchmal meistens besonders bereits schon erst noch nur allein für aus
    auf an am im in zu zum zur vor hinter bis um ab der die das den dem des ein eine einen einem einer
    eines kein keine entsprechend ebenso allerdings insgesamt ursprünglich bekannt weitere""".split()
)
SKIPPED = LINKS | frozenset(
    "jedoch allerdings außerdem zudem schließlich daher deshalb also auch dabei so".split()
)


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
