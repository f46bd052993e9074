"""The corpus of the entropy models that come with thesphere, src/thesphere/patches/{small,large}.safetensors.

    python training/entropy.py commands                 # shell lines that download and unpack the packages
    python training/entropy.py pack PACKAGES corpus.xz  # what they hold, cleaned and cut to its parts

With it, `thesphere train entropy --corpus corpus.xz --like small --kernel --out OUT` repeats their training
(docs/models.md).
"""

import argparse
from pathlib import Path

from thesphere.train import corpora


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True)
    tasks.add_parser("commands")
    packing = tasks.add_parser("pack")
    packing.add_argument("packages", type=Path)
    packing.add_argument("corpus", type=Path)
    asked = parser.parse_args()
    if asked.task == "commands":
        print("\n".join(corpora.fetch_commands()))
    else:
        corpora.save_corpus(corpora.mixture(corpora.gather(asked.packages)), asked.corpus)


if __name__ == "__main__":
    main()
