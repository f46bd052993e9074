"""Files and folders to what is to be read, in an order that depends on names alone."""

import os
import stat
from collections import deque
from collections.abc import Iterator

from thesphere.readers.base import HEAD, File, Skipped, printable, uri_of
from thesphere.readers.ignore import Rules, ignored, inherited, rules_in

NEVER = frozenset({".git", ".hg", ".svn", "__pycache__"})
_KEPT = 4 << 20  # bytes of sniffed small files that are remembered, so that they need not be read again
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def _is_collection(folder: str) -> bool:
    """Whether this folder is a collection, and not just called like one."""
    return folder.endswith(".sphere") and os.path.lexists(os.path.join(folder, "catalog.db"))


class Walk:
    """Walks arguments one after another and gives each file once, under the first name it was met with.

    Files of a folder come before its subfolders, both sorted by name; links to elsewhere come last, so that a
    file that can be reached without a link keeps its own name.
    """

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        self._seen: set[str] = set()
        self._folders: set[str] = set()
        self._links: deque[tuple[str, str]] = deque()
        self._recent: deque[File] = deque()
        self._recent_size = 0

    def argument(self, path: str) -> Iterator[File | Skipped]:
        """What lies at a path that the user gave: the file, or everything below the folder."""
        top = os.path.abspath(path)
        real = os.path.realpath(top)
        name = os.path.basename(top)
        yield from self._at(real, name, named=True)
        while self._links:
            yield from self._link(*self._links.popleft())

    def _at(self, real: str, name: str, named: bool) -> Iterator[File | Skipped]:
        if not os.path.isdir(real):
            yield from self._file(real, name, named)
        elif _is_collection(real):
            yield Skipped(printable(name), "a collection of thesphere")
        else:
            yield from self._folder(real, name, inherited(real))

    def _folder(self, real: str, name: str, chain: tuple[Rules, ...]) -> Iterator[File | Skipped]:
        stack = [(real, name, chain)]
        while stack:
            real, name, chain = stack.pop()
            if real in self._folders:
                continue
            self._folders.add(real)
            try:
                with os.scandir(real) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                yield Skipped(printable(name), f"a folder that cannot be read: {error.strerror}")
                continue
            names = {entry.name for entry in entries}
            if ".git" in names:  # a repository of its own: its parents' rules end here
                chain = ()
            if ".gitignore" in names and (rules := rules_in(real)) is not None:
                chain = (*chain, rules)
            folders = []
            for entry in entries:
                if entry.name in NEVER:
                    continue
                child, label = os.path.join(real, entry.name), f"{name}/{entry.name}"
                try:
                    folder = entry.is_dir(follow_symlinks=False)
                except OSError as error:
                    yield Skipped(printable(label), f"cannot be read: {error.strerror}")
                    continue
                if (folder and _is_collection(child)) or (chain and ignored(chain, child, folder)):
                    continue
                if folder:
                    folders.append((child, label, chain))
                elif entry.is_symlink():
                    self._links.append((child, label))
                else:
                    yield from self._file(child, label, named=False)
            stack += reversed(folders)

    def _link(self, path: str, name: str) -> Iterator[File | Skipped]:
        shown = printable(name)
        try:
            os.stat(path)
        except FileNotFoundError:
            yield Skipped(shown, "a link to nothing")
            return
        except OSError as error:  # ELOOP: it leads to itself
            yield Skipped(shown, f"a link that cannot be followed: {error.strerror}")
            return
        real = os.path.realpath(path)
        if os.path.join(path, "").startswith(os.path.join(real, "")):
            yield Skipped(shown, f"a link that loops: it leads back to {printable(real)}")
        elif real in self._folders or uri_of(real) in self._seen:
            yield Skipped(shown, f"a link to {printable(real)}, which is read already")
        elif not NEVER.isdisjoint(real.split("/")):
            yield Skipped(shown, f"a link into {printable(real)}, which is never read")
        else:
            yield from self._at(real, name, named=False)

    def _file(self, real: str, name: str, named: bool) -> Iterator[File | Skipped]:
        uri = uri_of(real)
        if uri in self._seen:
            return
        self._seen.add(uri)
        shown = printable(name)
        try:
            status = os.stat(real) if named else os.lstat(real)
            if not stat.S_ISREG(status.st_mode):
                yield Skipped(shown, f"{_KINDS.get(stat.S_IFMT(status.st_mode), 'something')}, not a file")
                return
            if status.st_size > self.max_size:
                yield Skipped(
                    shown, f"{status.st_size} bytes, above the limit of {self.max_size} (--max-size)"
                )
                return
            handle = os.open(real, _OPEN)
            try:
                head = os.read(handle, min(status.st_size + 1, HEAD))
            finally:
                os.close(handle)
        except OSError as error:
            yield Skipped(shown, f"cannot be read: {error.strerror}")
            return
        file = File(real, uri, shown, status.st_size, status.st_mtime_ns, head, named)
        yield file
        if file.complete:
            self._remember(file)

    def _remember(self, file: File) -> None:
        """Keep the heads of the small files met last, so that they are read once, in bounded memory."""
        self._recent.append(file)
        self._recent_size += len(file.head)
        while self._recent_size > _KEPT:
            oldest = self._recent.popleft()
            self._recent_size -= len(oldest.head)
            oldest.head = b""
