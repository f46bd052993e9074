"""The globe as one HTML file that opens offline: our own script, no request to anywhere.

The numbers travel as one gzip stream in base64: a JSON header, then typed arrays, then all texts as UTF-8.
Documents are hostile: nothing of theirs is ever markup. The only names in the HTML are the escaped title; all
else is in the base64, and the script inserts it as text. A content policy names the one script and the one
style by their hashes and forbids every request, so that even a mistake here could not run or load anything.
"""

import base64
import gzip
import hashlib
import html
import json
import os
import re
from importlib.resources import files
from pathlib import Path

import numpy as np

from thesphere.errors import InputError, NotFoundError
from thesphere.store.part import replacing
from thesphere.viz.globe import ROLES, Globe, Query, check

SCRIPTS = ("data", "colour", "camera", "marks", "image", "scene", "panel", "main")
STEPS = 32767  # positions are int16: an error of at most 1.6e-5 per coordinate
ALIGN = 8  # a typed array starts at a multiple of its item's size


def write_globe(globe: Globe, path: str | os.PathLike) -> int:
    """Write `globe` as one self-contained HTML file and return its size in bytes.

    The same globe gives the same bytes. The file is put in place at once: a failure leaves what was there.

    Raises:
        InputError: parts of the globe disagree or leave their ranges, or `path` is a folder.
        NotFoundError: the folder of `path` does not exist.
        SphereError: the disk is full or read-only.
    """
    check(globe)
    target = Path(path)
    if target.is_dir():
        raise InputError(f"{target} is a folder; name the HTML file to write")
    if not target.parent.is_dir():
        raise NotFoundError(f"the folder {target.parent} does not exist; make it first")
    page = build_page(globe).encode()
    with replacing(target) as beside:
        beside.write_bytes(page)
    return len(page)


def build_page(globe: Globe) -> str:
    """The HTML of a globe that has been checked."""
    assets = files("thesphere.viz") / "assets"
    style = (assets / "globe.css").read_text("utf-8")
    parts = "\n".join((assets / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    script = f'(() => {{\n"use strict";\n{parts}\n}})();'
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )
    values = {
        "policy": policy,
        "title": html.escape(_readable(globe.title)),
        "style": style,
        "data": base64.b64encode(gzip.compress(pack(globe), 6, mtime=0)).decode(),
        "script": script,
    }
    template = (assets / "globe.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], template)  # once: values stay as they are


def pack(globe: Globe) -> bytes:
    """Header length (uint32), header (JSON), then the arrays that it lists, little-endian, 8-byte aligned."""
    texts = [_readable(text).encode() for text in globe.texts]
    arrays = {
        "places": np.rint(np.asarray(globe.positions, np.float64) * STEPS).clip(-STEPS, STEPS).astype("<i2"),
        "radii": np.asarray(globe.radii, "<f4"),
        "shells": np.asarray(globe.shells, "<i4"),
        "shellRadii": np.asarray(globe.shell_radii, "<f4"),
        "sources": np.asarray(globe.sources, "<i4"),
        "prominence": np.asarray(globe.prominence, "<f4"),
        "entropies": np.asarray(globe.entropies, "<f4"),
        "spans": np.asarray(globe.spans, "<f8"),
        "lengths": np.array([len(text) for text in texts], "<i4"),
        "texts": np.frombuffer(b"".join(texts), np.uint8),
    }
    header: dict = {
        "title": _readable(globe.title),
        "names": [_readable(name) for name in globe.names],
        "roleNames": ROLES,
        "poleAngle": None if globe.roles is None else float(globe.pole_angle),
    }
    if globe.roles is not None:
        arrays["roles"] = np.asarray(globe.roles, "i1")
    if globe.query is not None:
        header["query"] = {"text": _readable(globe.query.text), "field": None}
        arrays |= _query_arrays(globe.query)
        if globe.query.field is not None:
            header["query"]["field"] = list(np.shape(globe.query.field))
    offset, header["arrays"] = 0, {}
    for name, values in arrays.items():
        header["arrays"][name] = [values.dtype.str[1:], offset, values.size]
        offset += values.nbytes + -values.nbytes % ALIGN
    head = json.dumps(header, ensure_ascii=False, allow_nan=False).encode()
    head += b" " * (-(len(head) + 4) % ALIGN)
    body = (values.tobytes() + bytes(-values.nbytes % ALIGN) for values in arrays.values())
    return len(head).to_bytes(4, "little") + head + b"".join(body)


def _query_arrays(query: Query) -> dict[str, np.ndarray]:
    arrays = {
        "centres": np.asarray(query.centres, "<f4"),
        "apertures": np.asarray(query.apertures, "<f4"),
        "strengths": np.asarray(query.strengths, "<f4"),
        "hits": np.asarray(query.hits, "<i4"),
        "scores": np.asarray(query.scores, "<f4"),
    }
    if query.field is not None:
        field = np.asarray(query.field, np.float64)
        arrays["field"] = np.rint(field / (field.max() or 1.0) * 255).astype(np.uint8)
    return arrays


def _readable(text: str) -> str:
    """`text` with every lone surrogate replaced, so that it has a UTF-8 form."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
