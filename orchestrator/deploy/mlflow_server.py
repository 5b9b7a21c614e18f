"""`mlflow server`, with the same options and its secrets from files: `python -P -m orchestrator.deploy.mlflow_server`."""

from __future__ import annotations

import os
import sys

from orchestrator.settings import take_secret_files


def main() -> None:
    """Take the secrets, and become the server."""
    take_secret_files()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "mlflow", "server", *sys.argv[1:]])


if __name__ == "__main__":
    main()
