"""The command `thesphere`. Importing this loads nothing; each command loads what it needs."""


def main() -> None:
    """Run the command line and end the process with its exit code."""
    from thesphere.cli.app import run

    raise SystemExit(run())
