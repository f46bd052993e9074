"""Every error that a user can cause, each told in one sentence: what was given, what was expected, what to
do."""


class SphereError(Exception):
    """Base of all errors that are the user's to mend. The command prints its message as one line and exits
    with 1."""


class InputError(SphereError, ValueError):
    """An argument has the wrong value, shape or type."""


class NotFoundError(SphereError, FileNotFoundError):
    """A path, collection or source that was named does not exist."""

    def __str__(self) -> str:  # FileNotFoundError would print errno fields
        return str(self.args[0]) if self.args else ""


class FormatError(SphereError):
    """A file does not hold what its format promises. The message names the file, the key and what was
    found."""


class SchemaError(FormatError):
    """A collection was written by a newer version than the one that is running."""


class LockedError(SphereError):
    """Another process is writing to the collection."""


class MissingExtra(SphereError, ImportError):
    """An optional dependency is not installed; the message holds the line that installs it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}': pip install 'thesphere[{extra}]'")
        self.extra = extra


class VerifyError(SphereError):
    """Stored bytes differ from what was committed, or an answer differs from its proof."""
