"""The model card: what a model was made of, what it cost and reaches, and the command that makes it again."""

from typing import Any


def entropy_card(figures: dict[str, Any]) -> str:
    """The card of an entropy model, Markdown, from its figures.json."""
    bits = figures["bits_per_byte"]
    readers = [name for name in next(iter(bits.values())) if name != "bytes"]
    sizes, settings = figures["sizes"], figures["settings"]
    return _page(
        "An entropy model",
        "Tells how uncertain the next byte is; patches start where it is most uncertain.",
        "    thesphere ingest FOLDER --into NAME.sphere --entropy {folder}",
        figures,
        [
            ("started from", _start(settings["start"])),
            ("network", f"{sizes['blocks']} gated recurrences of width {sizes['width']}"),
            ("cost of use", f"{sizes['products_per_byte']:,} multiply-adds a byte"),
            ("bytes read in training", f"{figures['cost']['bytes_read']:,}"),
        ],
        "## How well it reads\n\nBits per byte of texts that it was not trained on, every text from an empty"
        " state; gzip and xz have all texts of a row in one piece.\n\n"
        + _table(
            ["held out", "bytes", *readers],
            [
                [group, f"{row['bytes']:,}", *(f"{row[name]:.3f}" for name in readers)]
                for group, row in bits.items()
            ],
        ),
    )


def encoder_card(figures: dict[str, Any]) -> str:
    """The card of an encoder, Markdown, from its figures.json."""
    settings, found = figures["settings"], figures["held_out"]
    return _page(
        f"An encoder ({settings['kind']})",
        "Makes vectors of texts, with their lengths kept; texts that belong together lie in the same direction.",
        f"    thesphere ingest FOLDER --into NAME.sphere --encoder {settings['kind']}:{{folder}}",
        figures,
        [
            ("started from", _start(settings["start"])),
            ("network", f"{figures['sizes']['layers']} layers of width {figures['sizes']['width']}"),
            ("cost of use", f"{figures['sizes']['products_per_patch']:,} multiply-adds a patch"),
            ("pairs read in training", f"{figures['cost']['pairs_read']:,}"),
            ("teacher", figures["teacher"] or "none"),
        ],
        "## How well it finds\n\nOf pairs made of texts that it was not trained on: how often the passage that"
        " belongs to a query is the nearest of all held-out passages.\n\n"
        + _table(
            ["encoder", *next(iter(found.values()))],
            [
                [
                    name,
                    *(f"{value:,}" if isinstance(value, int) else f"{value:.3f}" for value in row.values()),
                ]
                for name, row in found.items()
            ],
        ),
    )


def _start(start: str) -> str:
    """What the weights were before training."""
    return {"": "fresh weights", "shipped": "the shipped weights"}.get(start, f"the weights `{start}`")


def _page(
    title: str, purpose: str, use: str, figures: dict[str, Any], more: list[tuple[str, str]], judged: str
) -> str:
    cost, weights, data = figures["cost"], figures["weights"], figures["data"]
    facts = [
        ("file", f"`{weights['file']}`, {weights['bytes']:,} bytes"),
        ("SHA-256", f"`{weights['sha256']}`"),
        ("parameters", f"{figures['sizes']['parameters']:,}"),
        *more,
        ("cost of training", f"{cost['steps']:,} steps, {_duration(cost['seconds'])} on {cost['devices']}"),
        ("seed", str(figures["settings"]["seed"])),
        ("made with", ", ".join(f"{name} {number}" for name, number in cost["versions"].items())),
    ]
    rows = [
        [kind, name, f"{facts['texts']:,}", f"{facts['bytes']:,}", f"`{facts['sha256']}`"]
        for kind in ("trained", "held_out")
        for name, facts in data[kind].items()
    ]
    others = [
        f"- {name.replace('_', ' ')}: {_words(value)}" for name, value in data.items() if not _is_texts(value)
    ]
    settings = ", ".join(
        f"{name} {_words(value)}" for name, value in figures["settings"].items() if value != ""
    )
    table = _table(["", ""], [list(each) for each in facts])
    return (
        "\n\n".join(
            part
            for part in (
                f"# {title}",
                purpose,
                use.format(folder="PATH_OF_THIS_FOLDER"),
                table,
                "## How it was made",
                f"    {figures['command']}" if figures["command"] else "",
                "The same texts and command give the same weights on the same machine; other devices round sums"
                " otherwise. Fingerprints are SHA-256 of the texts in their order, each ended by a zero byte.",
                _table(
                    ["", "part", "texts", "bytes", "SHA-256"],
                    [[row[0].replace("_", " "), *row[1:]] for row in rows],
                ),
                "\n".join(others),
                f"Settings: {settings}.",
                judged,
            )
            if part
        )
        + "\n"
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(each, dict) and "sha256" in each for each in value.values()
    )


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.1f} minutes"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
