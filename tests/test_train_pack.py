"""training/pairs.py: `pack` and `add` on small packages made here, as its commands are typed."""

import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from thesphere.train.pairs import Pairs, read_pairs

TRAINING = Path(__file__).parents[1] / "training"
COMMANDS = {f"Count the lines of file number {n}": f"wc --lines {{{{path/to/file_{n}}}}}" for n in range(40)}
JUDGED = "Count the lines of file number 7"
QUESTIONS = {
    f"What are the symptoms of disease {name} ?": " ".join(f"{name} hurts in place {n}." for n in range(50))
    for name in map(chr, range(ord("A"), ord("Z")))
}


def run(*words: object) -> dict[str, Any]:
    """The last line that training/pairs.py prints."""
    command = [sys.executable, str(TRAINING / "pairs.py"), *map(str, words), "--processes", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def asked(pairs: Pairs) -> dict[str, str]:
    """What each query of a pack finds."""
    return {pairs.text(a).decode(): pairs.text(b).decode() for a, b in pairs.arrays["pair"].tolist()}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    pages = folder / "tldr/pages/common"
    pages.mkdir(parents=True)
    for n, (want, code) in enumerate(COMMANDS.items()):
        (pages / f"wc{n}.md").write_text(f"# wc\n\n> Counts.\n\n- {want}:\n\n`{code}`\n")
    health = folder / "git-MedQuAD/1_Some"
    health.mkdir(parents=True)
    for n, (question, answer) in enumerate(QUESTIONS.items()):
        rows = f"<QAPair><Question>{question}</Question><Answer>{answer}</Answer></QAPair>"
        (health / f"{n}.xml").write_text(f"<Document><QAPairs>{rows}</QAPairs></Document>")
    (folder / "judged").mkdir()
    (folder / "judged/queries.jsonl").write_text(json.dumps({"_id": "1", "text": JUDGED}) + "\n")
    return folder


def test_packing_and_adding(packages: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    told = run("pack", packages, first, "--only", "commands_of_tldr", "--judged", packages / "judged")
    bare = {want: code.replace("{{", "").replace("}}", "") for want, code in COMMANDS.items()}
    kept = {want: code for want, code in bare.items() if zlib.crc32(code.encode()) / 2**32 < 0.97}
    del kept[JUDGED]
    assert 0.8 * len(bare) < len(kept) < len(bare)
    packed = read_pairs(first)
    assert asked(packed) == kept and told["pairs"] == len(kept)
    assert packed.facts["sources"]["tldr-pages (en)"]["licence"] == "CC BY 4.0"

    told = run("add", first, packages, second, "--only", "health")
    both = read_pairs(second)
    new = {
        question.replace(" ?", "?"): answer
        for question, answer in QUESTIONS.items()
        if zlib.crc32(answer.encode()) / 2**32 < 0.25
    }
    assert 2 < len(new) < len(QUESTIONS) / 2
    assert asked(both) == kept | new and told["pairs"] == len(kept) + len(new)
    sources = both.facts["sources"]
    alone = bare[JUDGED].encode()  # code that nothing asks for any more: half of it is left out again
    left_out = [alone] if 0.5 <= zlib.crc32(alone) / 2**32 < 0.97 else []
    counts = {"texts": len(left_out), "bytes": sum(map(len, left_out))}
    assert sources["of the above, left out again"] == counts
    assert sources["git:MedQuAD"]["licence"] == "CC BY 4.0" and sources["git:MedQuAD"]["pairs"] == len(new)


def test_a_package_that_is_not_there_is_named(tmp_path: Path) -> None:
    words = ["pack", tmp_path, tmp_path / "out", "--only", "commands_of_tldr", "--processes", "1"]
    done = subprocess.run(
        [sys.executable, str(TRAINING / "pairs.py"), *map(str, words)], capture_output=True, text=True
    )
    assert done.returncode and "tldr is not in" in done.stderr


def test_commands_fetch_every_repository_at_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TRAINING))
    import pairs

    lines = pairs.commands()
    assert lines[0].startswith("mkdir") and len(lines) == len(set(lines))
    clones = [line for line in lines if "git clone" in line]
    commits = [line.rpartition(" checkout -q ")[2] for line in clones]
    assert len(clones) > 50 and all(len(commit) == 40 and int(commit, 16) for commit in commits)


def test_a_part_of_a_pack_is_chosen_by_hash_with_whole_pairs(packages: Path, tmp_path: Path) -> None:
    whole, some, none = (tmp_path / name for name in ("whole", "some", "none"))
    run("pack", packages, whole, "--only", "commands_of_tldr")
    command = [sys.executable, str(TRAINING / "pairs.py"), "part", str(whole)]
    for out, share in ((some, "0.5"), (none, "1.0")):
        subprocess.run([*command, str(out), "--share", share], check=True, capture_output=True)
    assert read_pairs(none).facts["sha256"] == read_pairs(whole).facts["sha256"]
    assert asked(read_pairs(none)) == asked(read_pairs(whole))
    found = asked(read_pairs(some))
    expected = {
        want: code
        for want, code in asked(read_pairs(whole)).items()
        if zlib.crc32(code.encode()) / 2**32 < 0.5
    }
    assert found == expected and 5 < len(found) < 35
