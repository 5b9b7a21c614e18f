"""Make the secret files of docker-compose.yml: `sudo python3 -m orchestrator.deploy.secret_files FOLDER`.

It needs nothing but Python. What is there is kept, so it may be called again, for example after a release that needs one more.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

UID = 10001
"""The user of the containers."""


def main(folder: Path) -> None:
    """Make the files that are missing, for the containers' user alone, and say which."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, value in contents(folder).items():
        path = folder / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(value)
            print(f"made {path}")  # noqa: T201
        if os.geteuid() == 0:
            os.chown(path, UID, UID)
    if os.geteuid() != 0:
        print(f"then: sudo chown {UID}:{UID} {folder}/*")  # noqa: T201


def contents(folder: Path) -> dict[str, str]:
    """Return what each file holds. Passwords that stand in two files are the same; those that are there are kept."""

    def known(name: str) -> str:
        path = folder / name
        return path.read_text() if path.exists() else secrets.token_hex(32)

    owner, mlflow = known("postgres_password"), known("mlflow_password")
    urls = {
        f"{name}_url": _url(role, owner if name == "owner" else secrets.token_hex(24))
        for name, role in (
            ("owner", "ablate_owner"),
            ("driver", "ablate_driver"),
            ("dashboard", "ablate_dashboard"),
            ("reader", "ablate_reader"),
        )
    }
    basic = base64.b64encode(f"ablate:{mlflow}".encode()).decode()
    return {
        "postgres_password": owner,
        **urls,
        "ray_token": secrets.token_hex(32),
        "mlflow_password": mlflow,
        "mlflow_key": secrets.token_hex(32),
        "mlflow_uri": f"http://ablate:{mlflow}@mlflow:5000/mlflow",
        "mlflow_auth": (
            "[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:////data/users.db\n"
            f"admin_username = ablate\nadmin_password = {mlflow}\n"
        ),
        "mlflow_header": f'proxy_set_header Authorization "Basic {basic}";\n',
        "htpasswd": "",  # nobody gets through the proxy until: htpasswd -B secrets/htpasswd NAME
    }


def _url(role: str, password: str) -> str:
    return f"postgresql+psycopg://{role}:{password}@postgres/ablate"


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "secrets"))
