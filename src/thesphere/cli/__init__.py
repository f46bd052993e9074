"""The command `thesphere`. Importing this loads nothing else; each command loads what it needs when it is called."""


def main() -> None:
    """Run the command line and end the process with its exit code."""
    from thesphere.cli.app import run

    raise SystemExit(run())
