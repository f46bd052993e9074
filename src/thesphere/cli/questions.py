"""Files of questions that a command is given: vectors, or texts."""

from pathlib import Path

import numpy as np

from thesphere.errors import InputError, NotFoundError


def read_array(name: str, holds: str) -> np.ndarray:
    """What a .npy file holds; `holds` says for errors what that should be.

    Raises:
        NotFoundError: there is no such file; InputError: it is not one of NumPy's.
    """
    if not Path(name).is_file():
        raise NotFoundError(f"there is no file {name}; give {holds}")
    try:
        loaded = np.load(name, allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            raise ValueError("an archive")
    except (ValueError, OSError, EOFError, MemoryError) as error:
        raise InputError(f"{name} is not a sound .npy file; write it with numpy.save") from error
    return loaded


def read_questions(name: str) -> np.ndarray | list[str]:
    """Of a .npy file its rows [Q, D], of any other its lines, blank ones left out.

    Raises:
        NotFoundError: there is no such file; InputError: not rows, not UTF-8, or no question at all.
    """
    holds = "a .npy file of vectors [Q, D], or a text file of a question a line"
    if name.lower().endswith(".npy"):
        rows = read_array(name, holds)
        if rows.ndim != 2 or rows.dtype.kind not in "fiu" or not len(rows):
            raise InputError(
                f"{name} is {rows.dtype} {list(rows.shape)}; give numbers [Q, D], a question a row"
            )
        return rows
    if not Path(name).is_file():
        raise NotFoundError(f"there is no file {name}; give {holds}")
    try:
        lines = Path(name).read_bytes().decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{name} is not UTF-8 in line {line}; give {holds}") from error
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from error
    questions = [line.strip() for line in lines if line.strip()]
    if not questions:
        raise InputError(f"{name} holds no question; write one a line, a thousand like those to be asked")
    return questions
