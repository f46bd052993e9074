"""Readers: files, folders, rows and streams to sources, and sources to segments of their original bytes.

    for item in read(["docs/", "table.csv", "-"]):
        if isinstance(item, Skipped): ...
        for segment in segments(item): ...

Every offset is one in the original bytes. `utf8` transcodes a segment to be analysed and `original_offsets`
leads back.
"""

from thesphere.readers.base import File, Reader, Segment, Skipped, Source, Unreadable, path_of
from thesphere.readers.encoding import analysis_text, original_offsets, utf8
from thesphere.readers.segments import segments
from thesphere.readers.table import READERS, read

__all__ = [
    "READERS",
    "File",
    "Reader",
    "Segment",
    "Skipped",
    "Source",
    "Unreadable",
    "analysis_text",
    "original_offsets",
    "path_of",
    "read",
    "segments",
    "utf8",
]
