"""Trains the sphere encoders, src/thesphere/encoders/sphere.safetensors and sphere-light.safetensors.

    python training/encoder.py sphere PAIRS TEACHER.npy OUT --steps N
    python training/encoder.py light  PAIRS TEACHER.npy OUT --steps N

PAIRS is the folder that training/pairs.py or training/more.py packs, TEACHER.npy the teacher's vectors of its
English texts, float16 [E, 384], beside the order of training/teacher.py. `--seconds S` takes as many steps as
fit; `--kernel` uses the Pallas kernels (NVIDIA GPUs). OUT gets NAME.safetensors (8-bit), NAME.json and, if asked,
a checkpoint, from which the same command goes on.
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import jax
import numpy as np
import prepared
from safetensors.numpy import load_file, save_file

from thesphere.nn import sphere
from thesphere.nn.sphere_shape import LIGHT, SPHERE, WINDOW, SphereShape
from thesphere.train import encoder
from thesphere.train.run import run, schedule
from thesphere.train.sampler import Pairs, Sampler, Settings
from thesphere.train.shelf import Room, room_for, shelf_like, shelve

HELD_OUT = 2000  # pairs, and as many translations
JUDGING = 15  # seconds that are kept for the last judging
PARTS = {"pairs": 0.33, "parallel": 0.18, "damaged": 0.1, "mixed": 0.03, "alone": 0.18, "crops": 0.18}


def kinds_of(
    arrays: dict[str, np.ndarray],
    english: int,
    lengths: np.ndarray,
    texts: int,
    of: np.ndarray,
    copies: int,
    parts_of: dict[str, float],
):
    """(a, b, kind, shares, related): all pairs; within a part, shares go by the root of the number."""
    pair, parallel, lang = arrays["pair"], arrays["parallel"], arrays["lang"]
    foreign = (pair >= english).any(1)
    new = texts + np.arange(len(of))
    alone = np.argsort(lengths[:english], kind="stable")[: english // 2 * 2].reshape(-1, 2)  # of like length
    parts = [
        ("pairs", pair, arrays["pair_kind"].astype(int) * 2 + foreign),
        ("parallel", parallel, lang[parallel[:, 0]].astype(int)),
        ("damaged", np.stack([new, of], 1)[:copies], np.zeros(copies, int)),
        ("mixed", np.stack([new, of], 1)[copies:], np.zeros(len(of) - copies, int)),
        ("alone", alone, np.zeros(len(alone), int)),
        ("crops", arrays.get("crops", np.zeros((0, 2), int)), np.zeros(len(arrays.get("crops", ())), int)),
    ]
    a, b, kind, shares, related = [], [], [], [], []
    for name, some, which in parts:
        if not len(some):
            continue
        counts = np.bincount(which)
        numbers = np.cumsum(counts > 0) - 1
        kind.append(numbers[which] + len(shares))
        roots = np.sqrt(counts[counts > 0])
        shares += (parts_of[name] * roots / roots.sum()).tolist()
        related += [name != "alone"] * len(roots)
        a.append(some[:, 0])
        b.append(some[:, 1])
    return np.concatenate(a), np.concatenate(b), np.concatenate(kind), shares, related


def held_out(
    arrays: dict[str, np.ndarray], english: int, lengths: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Pairs that are judged, [n, 2] by name; no text of them is learnt from."""
    rng = np.random.default_rng(seed)
    fit = (lengths > 0) & (lengths <= 128)
    chosen, taken = {}, np.zeros(len(lengths), bool)
    if len(arrays.get("judged", ())):  # sentences and long passages
        chosen["long"] = arrays["judged"]
        fit &= ~arrays["hidden"]
    for name, some in (("pairs", arrays["pair"]), ("parallel", arrays["parallel"])):
        usable = np.flatnonzero(fit[some].all(1) & ((some < english).all(1) if name == "pairs" else True))
        usable = rng.permutation(usable)
        for side in (0, 1):  # every text once
            usable = usable[np.sort(np.unique(some[usable, side], return_index=True)[1])]
        usable = usable[~taken[some[usable]].any(1)]
        chosen[name] = some[rng.permutation(usable)[: min(HELD_OUT, len(usable) // 10)]]
        taken[chosen[name]] = True
    return {name: some for name, some in chosen.items() if len(some)}


def await_(file: Path) -> None:
    """Returns when another process has made `file`, of the folder that is FOLDER.failed if that did not work."""
    folder = file.parent
    while not file.exists():
        if folder.with_name(f"{folder.name}.failed").exists():
            raise SystemExit(f"{folder} could not be prepared")
        time.sleep(0.2)


def train(shape: SphereShape, name: str, asked: argparse.Namespace) -> None:
    """Trains, judges and writes what the module's description says."""
    began = time.monotonic()

    def log(line: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {line}", flush=True)

    if not asked.shared:
        prepared.worse(asked.pairs)  # by processes, before JAX has threads
    settings = Settings(asked.steps, kernel=asked.kernel, **json.loads(asked.set))
    state = encoder.begin(shape, settings)
    hints = None
    if asked.start:
        own, parameters, hints = sphere.parameters_of(load_file(str(asked.start)))
        if asked.layers:
            kept = list(map(int, asked.layers.split(",")))
            own = replace(own, layers=len(kept))
            parameters |= {name: parameters[name][kept] for name in parameters if name.startswith("layer.")}
        assert own == shape, f"{asked.start} has {own}"
        state = state._replace(parameters=jax.device_put(parameters, jax.tree.leaves(state)[0].sharding))
    steps, room, compiler = None, None, ThreadPoolExecutor(1)
    if asked.room:
        room = Room(*map(int, asked.room.split(",")))
        early = compiler.submit(encoder.compiled, shape, settings, state, shelf_like(room, shape.embedding))
    if asked.shared:
        await_(asked.pairs / "ready")
    arrays = dict(np.load(asked.pairs / "pairs.npz"))
    described = json.loads((asked.pairs / "pairs.json").read_text())
    texts, english = described["texts"], described["english"]
    data, begins, of, copies = prepared.worse(asked.pairs)
    log(f"{texts:,} texts, {copies:,} damaged and {len(of) - copies:,} mixed ones, {len(data):,} bytes")
    library = prepared.library(asked.pairs, shape.rows, shape.shells)
    if hints is not None:
        library = replace(library, rarity=hints, hint=hints[library.word].max(1).astype(np.int32))
    log(f"{library.begins[-1]:,} patches, {len(library.word):,} words; {shape.products:,} products a patch")
    taught = np.full(len(begins) - 1, -1, np.int32)
    taught[arrays["parallel"][::-1, 0]] = arrays["parallel"][::-1, 1]
    taught[:english] = np.arange(english)
    judged = held_out(arrays, english, library.lengths[:texts], prepared.SEED)
    parts = PARTS | json.loads(asked.parts)
    a, b, kind, shares, related = kinds_of(arrays, english, library.lengths, texts, of, copies, parts)
    hidden = np.zeros(len(taught), bool)
    hidden[:texts] = arrays.get("hidden", False)
    for some in judged.values():
        hidden[some] = True
    hidden[texts:] = hidden[of]
    kept = ~(hidden[a] | hidden[b])
    a, b = a[kept], b[kept]
    await_(asked.teacher)
    teacher = np.load(asked.teacher, mmap_mode="r")
    embed = encoder.make_embed(shape, settings, WINDOW)
    if asked.own:
        untaught = np.flatnonzero(taught[:texts] < 0)
        own = encoder.own_vectors(embed, state.parameters, library, untaught)
        taught[untaught] = len(teacher) + np.arange(len(untaught))
        teacher = np.concatenate([teacher, own])
        log(f"{len(own):,} texts without a teacher keep the vectors that they have")
    taught[texts:] = taught[of]
    near, places = asked.teacher.with_suffix(".near.npy"), None
    if settings.near and near.exists():
        alike = np.load(near)
        told = (taught[b] >= 0) & (taught[b] < len(alike))
        places = np.where(told, alike[np.where(told, taught[b], 0)], -1)
    pairs = Pairs(a, b, kind[kept], shares, related, places)
    sampler = Sampler(pairs, library.lengths, settings)
    log(f"{len(a):,} pairs of {len(shares)} kinds; batches {sampler.chances}")
    log(f"{len(teacher):,} vectors of the teacher")
    need = room_for(library, teacher)
    if room is None or any(have < wanted for have, wanted in zip(room, need, strict=True)):
        log(f"compiling for {need}")
        room = need
        like = shelf_like(room, shape.embedding)
        early = compiler.submit(encoder.compiled, shape, settings, state, like)
    shelf = shelve(library, taught, teacher, room)
    steps = early.result()
    log("compiled")
    curves = []

    def judge(parameters) -> dict[str, dict[str, float]]:
        return {
            which: encoder.judge(embed, parameters, shelf, some[:, 0], some[:, 1], taught, teacher)
            for which, some in judged.items()
        }

    log(json.dumps(judge(state.parameters)))
    left = 1.0
    if asked.seconds:
        pace = encoder.seconds_of(steps, state, shelf, sampler)
        left = asked.seconds - JUDGING - (time.monotonic() - began)
        settings = replace(settings, steps=max(1, int(left / pace)))
        log(f"{pace * 1e3:.1f} ms a step: {settings.steps:,} steps")

    told, first = {}, time.monotonic()

    def step(state, number: int):
        if number == settings.steps * 6 // 10:
            save_file(
                sphere.quantised(state.parameters, shape, library.rarity),
                str(asked.out / f"{name}.safetensors"),
            )
        if number and number % asked.judge == 0:
            curves.append({"step": number, **judge(state.parameters)})
            log(json.dumps(curves[-1]))
        gone = (
            (time.monotonic() - first) / left * settings.steps if asked.seconds else 0
        )  # in steps, by the clock
        if told and gone > settings.steps:
            return state, told
        size, *batch = sampler.batch(number)
        rate = schedule(settings, max(number, int(gone)))
        state, made = steps[size](state, shelf, *batch, np.int32(number), rate)
        told.update(made)
        return state, made

    checkpoint = asked.out / f"{name}.checkpoint" if asked.checkpoint else None
    state, curve = run(
        state, step, settings.steps, checkpoint=checkpoint, wish=repr((shape, settings)), say=log
    )
    tensors = sphere.quantised(state.parameters, shape, library.rarity)
    save_file(tensors, str(asked.out / f"{name}.safetensors"))
    figures = {
        "judged": judge(sphere.parameters_of(tensors)[1]),
        "settings": asdict(settings),
        "bytes": int(begins[texts]),
        "patches": int(library.begins[texts]),
        "seconds": curve.seconds,
        "curve": curve.points,
        "curves": curves,
        "devices": [str(device.device_kind) for device in jax.devices()],
    }
    (asked.out / f"{name}.json").write_text(json.dumps(figures, indent=1))
    log(json.dumps(figures["judged"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("encoder", choices=("sphere", "light"))
    parser.add_argument("pairs", type=Path)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seconds", type=float, default=0.0, help="of the whole command, instead of --steps")
    parser.add_argument("--start", type=Path, help="a file of weights to go on from")
    parser.add_argument(
        "--own", action="store_true", help="texts that no teacher knows are to keep the vectors of --start"
    )
    parser.add_argument("--layers", help="of --start, such as 0,1,3,5; default: all")
    parser.add_argument(
        "--shared", action="store_true", help="wait for PAIRS/ready and TEACHER.npy, which others make"
    )
    parser.add_argument(
        "--room", help="TEXTS,PATCHES,WORDS,VECTORS at most: compile before the texts are read"
    )
    parser.add_argument("--judge", type=int, default=500, help="steps between two looks at held-out pairs")
    parser.add_argument("--kernel", action="store_true", help="the Pallas kernels, for NVIDIA GPUs")
    parser.add_argument("--checkpoint", action="store_true")
    parser.add_argument("--set", default="{}", help="JSON of other settings of thesphere.train.Settings")
    parser.add_argument("--parts", default="{}", help="JSON of other shares of the parts than PARTS")
    parser.add_argument("--shape", default="{}", help="JSON of other sizes of SphereShape")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    base, name = (SPHERE, "sphere") if asked.encoder == "sphere" else (LIGHT, "sphere-light")
    changed = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in json.loads(asked.shape).items()
    }
    if "rows" in changed:
        changed["rows"] = type(base.rows)(*changed["rows"])
    train(replace(base, **changed), name, asked)


if __name__ == "__main__":
    main()
