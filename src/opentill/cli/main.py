"""The `opentill` command."""

import sys

import typer

from opentill import __version__
from opentill.cli import admin, data
from opentill.cli.doctor import doctor_command
from opentill.cli.sandbox import sandbox_command
from opentill.cli.serve import serve_command, worker_command
from opentill.cli.stats import stats_command
from opentill.cli.twin import twin_command

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="OpenTill, a self-hosted QR-code payment gateway.",
)
app.command("sandbox")(sandbox_command)
app.command("serve")(serve_command)
app.command("worker")(worker_command)
app.command("doctor")(doctor_command)
app.command("stats")(stats_command)
app.command("twin")(twin_command)
app.add_typer(admin.app, name="admin")
app.add_typer(data.app, name="data")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> int:
    """Entry point. Returns the exit code."""
    app(prog_name="opentill")
    return 0


if __name__ == "__main__":
    sys.exit(main())
