"""What a file is, told from its first bytes: binary, code or text, and in which encoding."""

import re
from functools import lru_cache
from unicodedata import category

from thesphere.readers.base import Modality

CODE_SUFFIXES = frozenset(
    ".ada .adb .ads .asm .awk .bas .bash .bat .c .cc .cjs .clj .cljs .cmake .cob .coffee .cpp .cr .cs"
    " .css .cu .cuh .cxx .cyp .d .dart .el .elm .erl .ex .exs .f .f03 .f77 .f90 .f95 .fish .for .fs .fsx"
    " .gd .glsl .go .gradle .groovy .h .hcl .hh .hpp .hrl .hs .hxx .idl .inl .ipp .java .jl .js .jsx .kt"
    " .kts .less .lisp .lua .m .mjs .ml .mli .mm .mojo .nim .nix .pas .php .pl .pm .proto .ps1 .pxd .py"
    " .pyi .pyw .pyx .r .rb .rkt .rs .s .sass .scala .scm .scss .sh .sol .sql .sv .svelte .swift .tcl"
    " .tf .thrift .ts .tsx .v .vb .vhd .vhdl .vim .vue .wat .wgsl .zig .zsh".split()
)
CODE_NAMES = frozenset(
    {"makefile", "gnumakefile", "dockerfile", "cmakelists.txt", "rakefile", "gemfile", "jenkinsfile"}
)

MAGIC: tuple[tuple[int, bytes], ...] = (
    # documents and data
    (0, b"%PDF-"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),  # older Office
    (0, b"SQLite format 3\0"),
    (0, b"PAR1"),
    (0, b"ARROW1\0\0"),
    (0, b"Obj\x01"),  # Avro
    (0, b"\x89HDF\r\n\x1a\n"),
    (0, b"\x93NUMPY"),
    # archives and compression
    (0, b"PK\x03\x04"),
    (0, b"PK\x05\x06"),
    (0, b"\x1f\x8b"),
    (0, b"BZh"),
    (0, b"\xfd7zXZ\0"),
    (0, b"\x28\xb5\x2f\xfd"),  # Zstandard
    (0, b"\x04\x22\x4d\x18"),  # LZ4
    (0, b"7z\xbc\xaf\x27\x1c"),
    (0, b"Rar!\x1a\x07"),
    (257, b"ustar"),
    # programs
    (0, b"\x7fELF"),
    (0, b"MZ"),
    (0, b"\xfe\xed\xfa\xce"),
    (0, b"\xfe\xed\xfa\xcf"),
    (0, b"\xce\xfa\xed\xfe"),
    (0, b"\xcf\xfa\xed\xfe"),
    (0, b"\xca\xfe\xba\xbe"),
    (0, b"\0asm"),
    (0, b"!<arch>\n"),
    # pictures, fonts
    (0, b"\xff\xd8\xff"),
    (0, b"\x89PNG\r\n\x1a\n"),
    (0, b"GIF87a"),
    (0, b"GIF89a"),
    (0, b"BM"),
    (0, b"II*\0"),
    (0, b"MM\0*"),
    (0, b"8BPS"),
    (0, b"wOFF"),
    (0, b"wOF2"),
    (0, b"OTTO\0"),
    # sound, film
    (0, b"RIFF"),
    (0, b"OggS"),
    (0, b"fLaC"),
    (0, b"ID3"),
    (4, b"ftyp"),
    (0, b"\x1aE\xdf\xa3"),  # Matroska
)

# Control characters strange to text; bell, backspace, tab, line ends, Ctrl-Z and escape are not.
_CONTROLS = bytes(set(range(32)) - {7, 8, 9, 10, 12, 13, 26, 27}) + b"\x7f"
_CONTROL_SHARE = 0.02
_WIDE_BOMS = (  # the longer ones first: UTF-32-LE begins like UTF-16-LE
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_BEYOND = re.compile(rb"[\x80-\xff]")
_BREAKS = re.compile("[ \n\r\t,.0-9A-Za-z\u3000-\u3002\uff0c]")
_UNSEEN = ("Cf", "Zs", "Zl", "Zp")  # joiners, direction marks and spaces belong to text
_SAMPLE = 4096
_WIDE_SAMPLE = 2048


def sniff(name: str, head: bytes, *, complete: bool) -> tuple[Modality, str]:
    """Modality and encoding of a file.

    Content decides what is text; only of text the suffix (or "#!") decides whether it is code.

    Args:
        name: its file name, for the suffix.
        head: its first bytes.
        complete: `head` is the whole file; otherwise its end may cut a character.

    Returns:
        ("binary", "bytes"), or "code" or "text" with the name of a Python codec.
    """
    encoding = encoding_of(head, complete=complete)
    if encoding == "bytes":
        return "binary", "bytes"
    dot = name.rfind(".")
    if (dot > 0 and name[dot:].lower() in CODE_SUFFIXES) or name.lower() in CODE_NAMES:
        return "code", encoding
    return ("code" if head.startswith((b"#!/", b"#! /", b"\xef\xbb\xbf#!/")) else "text"), encoding


def encoding_of(head: bytes, *, complete: bool) -> str:
    """Python codec of the text that begins with `head`, or "bytes" where it is no text."""
    if head.startswith(b"%PDF-"):
        return "bytes"
    for mark, wide in _WIDE_BOMS:
        if head.startswith(mark) and _reads_wide(head, wide, marked=True):
            return wide
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if 0 in head or controls > _CONTROL_SHARE * len(head):
        for wide in _WIDE:
            if _reads_wide(head, wide, marked=False):
                return wide
    if controls > _CONTROL_SHARE * len(head):
        return "bytes"
    if _is_utf8(head, complete):
        return "utf-8"
    if any(head.startswith(mark, at) for at, mark in MAGIC):
        return "bytes"
    return _legacy(head)


def _is_utf8(head: bytes, complete: bool) -> bool:
    """Valid UTF-8, but for a cut last character or a few stray bytes among plenty of good characters."""
    if head.isascii():
        return True
    try:
        head.decode()
        return True
    except UnicodeDecodeError as error:
        if not complete and error.end == len(head) and error.reason == "unexpected end of data":
            return True
    text = head.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    good = len(text) - bad - len(head.translate(None, bytes(range(128, 256))))
    return good > 2 * bad


def _reads_wide(head: bytes, encoding: str, marked: bool) -> bool:
    """Whether `head` reads as text in a UTF-16 or UTF-32 form.

    With a byte order mark it need only decode to little but printable characters. Without one it must also
    hold ordinary signs (letters, digits, spaces, stops), which turn into ideographs in the wrong byte order,
    and its ideographs must not all be pairs of ASCII letters, as in words with a NUL after each.
    """
    unit = 4 if encoding.startswith("utf-32") else 2
    sample = head[: min(len(head), _WIDE_SAMPLE) // unit * unit]
    if unit == 2 and len(sample) >= 2:  # do not end within a surrogate pair
        high = sample[-1 if encoding.endswith("le") else -2]
        sample = sample[:-2] if 0xD8 <= high < 0xDC else sample
    text = sample.decode(encoding, "replace").removeprefix("\ufeff")
    if not text:
        return marked
    if text.count("\ufffd") > _CONTROL_SHARE * len(text):
        return False
    odd = sum(not (c.isprintable() or c in "\t\n\r\f\b\x1a\x1b" or category(c) in _UNSEEN) for c in text)
    if odd > _CONTROL_SHARE * len(text):
        return False
    if marked:
        return True
    foreign = [c for c in text if c > "\x7f"]
    pairs = sum(0x20 <= ord(c) >> 8 <= 0x7E and 0x20 <= ord(c) & 0xFF <= 0x7E for c in foreign)
    return pairs <= 0.9 * len(foreign) and len(_BREAKS.findall(text)) >= 0.02 * len(text)


_FAMILIES = (
    *("cp1252", "cp1250", "cp1251", "koi8_r", "cp866", "cp1253", "cp1254", "cp1255", "cp1256", "cp437"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
)
_LATIN = ("cp1252", "cp1250", "iso8859_2", "cp1254", "cp850", "mac_roman", "mac_latin2")
_SIGNS = "„“”‘’‚»«–—…§°©®·€£ß\xa0\xad"
_ALPHABETS = tuple(
    frozenset(letters + letters.upper() + _SIGNS)
    for letters in (
        *("äöü", "éèêàçùâôîïûœëæ", "áéíóúñ¿¡ü", "ãõáéíóúâêôçà", "àèéìòù", "åäöæøé", "éëïóèö", "áéíóúýþðæö"),
        *("ąćęłńóśźż", "áčďéěíňóřšťúůýžľĺŕôä", "áéíóöőúüű", "ăâîșțşţ", "čćđšž", "çğıİöşüâîû"),
    )
)
_ALPHABETS_OF = {
    **dict.fromkeys(("cp1252", "mac_roman", "cp850"), _ALPHABETS[:8]),
    **dict.fromkeys(("cp1250", "iso8859_2", "mac_latin2"), _ALPHABETS[8:13]),
    "cp1254": _ALPHABETS[13:],
}
_MISPLACED = re.compile(r"(?<=[a-z])[^\W\d_a-z](?=[a-z])|(?<=[a-zA-Z])[^\w\s'’…–—\xad-](?=[a-zA-Z])")
_COMMON = {  # lead bytes of the everyday ideographs or syllables
    "gb18030": (0xB0, 0xD7),
    "cp932": (0x88, 0x98),
    "euc_jp": (0xB0, 0xCF),
    "big5": (0xA4, 0xC6),
    "cp949": (0xB0, 0xC8),
}


def _legacy(head: bytes) -> str:
    """The best guess at an older encoding, from at most 4 KiB of the lines that are not ASCII.

    charset-normalizer tells scripts apart well, but Western from Central European badly, and it gives up on
    rare characters. So among Latin encodings the one that fits the alphabet of one language best wins,
    Western first, and where it gives up the one whose ideographs are everyday ones.
    """
    lines = ((line, _BEYOND.search(line)) for line in head.splitlines(keepends=True))
    near = b"".join(line[max(match.start() - 64, 0) :] for line, match in lines if match)
    return _guess(near[:_SAMPLE])


@lru_cache(maxsize=64)
def _guess(sample: bytes) -> str:
    from charset_normalizer import from_bytes

    latin, name = max((_fit(sample, name) - 0.02 * order, name) for order, name in enumerate(_LATIN))
    dense = len(sample.translate(None, bytes(range(128)))) > 0.15 * len(sample)
    if latin > 0.85 and not dense:
        return name
    for end in range(len(sample), max(len(sample) - 4, 0), -1):  # the sample's end may cut a character
        part = sample[:end]
        best = from_bytes(
            part, steps=5, chunk_size=512, cp_isolation=list(_FAMILIES), enable_fallback=False
        ).best()
        if best is not None:
            if best.encoding not in _LATIN and best.encoding != "cp437":
                return best.encoding
            break
    else:
        common, east = max((_everyday(sample, east), east) for east in _COMMON)
        if common > 0.8:
            return east
    if latin > 0.5:
        return name
    try:
        sample.decode("cp1252")
        return "cp1252"
    except UnicodeDecodeError:
        return "latin-1"


def _fit(sample: bytes, encoding: str) -> float:
    """Share of the characters beyond ASCII that fit one alphabet, the best of those `encoding` writes."""
    text = sample.decode(encoding, "replace")
    beyond = [c for c in text if c > "\x7f"]
    misplaced = sum(not match.islower() for match in _MISPLACED.findall(text))
    best = max(sum(c in letters for c in beyond) for letters in _ALPHABETS_OF[encoding])
    return (best - misplaced) / len(beyond)


def _everyday(sample: bytes, encoding: str) -> float:
    """Share of the ideographs and syllables that are everyday ones; 0 where `sample` does not decode."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError as error:
        if error.end < len(sample):
            return 0.0
        text = sample.decode(encoding, "ignore")
    low, high = _COMMON[encoding]
    words = [c for c in text if "\u3040" <= c <= "\ud7ff" or "\ue000" <= c <= "\ufaff"]
    kana = sum(c <= "\u30ff" for c in words)
    common = sum(low <= c.encode(encoding, "replace")[0] <= high for c in words if c > "\u30ff")
    return (kana + common) / len(words) if words else 0.0
