"""Files of weights: those that come with the package, and what training calls its own."""

import hashlib
from pathlib import Path

from thesphere.errors import FormatError

WEIGHTS = "weights.safetensors"
"""What `thesphere train` calls the weights in the folder that it writes."""


def shipped_weights(path: Path, sha256: str) -> bytes:
    """The bytes of a file of weights that comes with the package.

    Raises:
        FormatError: it is missing, or not what was shipped.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path} cannot be read ({error.strerror}): reinstall thesphere") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise FormatError(f"{path} is damaged, its SHA-256 is another: reinstall thesphere")
    return data
