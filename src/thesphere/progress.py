"""How long work reports on itself. Library calls are silent; the command passes a bar."""

from typing import Protocol


class Progress(Protocol):
    """Receives ticks between host-side chunks of work, never from inside a compiled loop."""

    def start(self, label: str, total: int | None = None, unit: str = "B") -> None:
        """Begin a task of `total` units (None: unknown). `unit` is "B" for bytes, else a plain noun."""
        ...

    def advance(self, amount: int) -> None:
        """`amount` more units are done."""
        ...

    def finish(self) -> None:
        """The task begun last has ended."""
        ...


class Silent:
    """The default: says nothing."""

    def start(self, label: str, total: int | None = None, unit: str = "B") -> None:
        pass

    def advance(self, amount: int) -> None:
        pass

    def finish(self) -> None:
        pass


SILENT: Progress = Silent()
