"""Averages two encoders that were trained one from the other: often a little better than either.

    python training/blend.py FIRST.safetensors SECOND.safetensors OUT.safetensors [--share 0.5]

Weights are taken out of their 8 bits, averaged (the second counts `--share`), and stored in 8 bits again, as by
Wortsman et al. 2022 (arXiv 2203.05482). Both must be of one shape and know the same rare n-grams.
"""

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from thesphere.nn import sphere


def blend(first: Path, second: Path, share: float) -> dict[str, np.ndarray]:
    """The tensors of the average."""
    (shape, one, rarity), (other, two, known) = (
        sphere.parameters_of(load_file(str(file))) for file in (first, second)
    )
    if shape != other or not np.array_equal(rarity, known):
        raise SystemExit(
            f"{first} and {second} differ in shape or in what they call rare; give trainings of one line"
        )
    mixed = {name: (1 - share) * np.asarray(one[name]) + share * np.asarray(two[name]) for name in one}
    return sphere.quantised(mixed, shape, rarity)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("first", "second", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second, 0 to 1")
    asked = parser.parse_args()
    save_file(blend(asked.first, asked.second, asked.share), str(asked.out))


if __name__ == "__main__":
    main()
