"""`ablate doctor`: check the set-up, and say how to fix what is wrong."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import click
from packaging.requirements import Requirement
from rich.table import Table
from rich.text import Text

from model.manifest import CorruptDirectory, verify
from orchestrator.artifacts.object_store import ObjectStore
from orchestrator.artifacts.store import packaged
from orchestrator.cli.console import DONE, FAILED, out, print_json
from orchestrator.cli.options import json_document, json_option
from orchestrator.errors import OrchestratorError
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_for_reading
from orchestrator.settings import Settings, mlflow_repair, redact, sqlite_file

LEAST_FREE_GIB = 2.0
"""A sweep of tiny checkpoints needs less and a real one more, but with less than this nothing should be started."""
TINY = "packaged:tiny"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    name: str
    is_ok: bool
    found: str
    fix: str = ""
    """What to do; only for a problem, or for something optional that is missing."""


@click.command(epilog=json_document("""
    {"is_ok", "checks": [{"name", "is_ok", "found", "fix"}]}"""))
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check the set-up and say how to fix what is wrong. The exit code is 1 if there is a problem."""
    checks = list(examine(Settings.load()))
    is_ok = all(check.is_ok for check in checks)
    if as_json:
        print_json({"is_ok": is_ok, "checks": checks})
    else:
        _print(checks)
    ctx.exit(DONE if is_ok else FAILED)


def examine(settings: Settings) -> Iterator[Finding]:
    """Check everything that a study needs, the fastest checks first."""
    yield _python()
    yield from _packages()
    yield _home(settings)
    yield _disk(settings)
    if settings.artifact_store:
        yield _store(settings)
    yield _ledger(settings)
    yield _mlflow(settings)
    yield _checkpoint()
    yield _ray(settings)
    yield _chromium()


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= (3, 11), found, "install Python 3.11 or newer")


def _packages() -> Iterator[Finding]:
    try:
        requirements = [Requirement(text) for text in importlib.metadata.requires("ablate") or ()]
    except importlib.metadata.PackageNotFoundError:
        yield Finding("packages", False, "ablate itself is not installed", "make setup")
        return
    wrong = [problem for each in requirements if not each.marker and (problem := _package_problem(each))]
    core = ", ".join(f"{name} {_version(name)}" for name in ("torch", "ray", "mlflow", "streamlit"))
    yield Finding("packages", not wrong, "; ".join(wrong) or core, "make setup")


def _package_problem(requirement: Requirement) -> str:
    version = _version(requirement.name)
    if version is None:
        return f"{requirement.name} is missing"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} is {version}; allowed: {requirement.specifier}"
    return ""


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _home(settings: Settings) -> Finding:
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.home):
            return Finding("home", True, str(settings.home))
    except OSError as error:
        return Finding(
            "home", False, f"{settings.home}: {error.strerror}", "set ABLATE_HOME to a folder you may write to"
        )


def _disk(settings: Settings) -> Finding:
    folder = next(path for path in (settings.artifacts, *settings.artifacts.parents) if path.exists())
    free_gib = shutil.disk_usage(folder).free / 2**30
    return Finding("disk", free_gib >= LEAST_FREE_GIB, f"{free_gib:.0f} GiB free at {folder}",
                 f"free at least {LEAST_FREE_GIB:.0f} GiB, or set ABLATE_ARTIFACTS to a larger disk")


def _store(settings: Settings) -> Finding:
    try:
        ObjectStore(settings.artifact_store).has("doctor")
    except OrchestratorError as error:
        return Finding("artifact store", False, redact(str(error).splitlines()[0]),
                       "check ABLATE_ARTIFACTS and its credentials")
    return Finding("artifact store", True, f"{settings.artifact_store} answers")


def _ledger(settings: Settings) -> Finding:
    try:
        engine = open_for_reading(settings.ledger_url)
        driver, num_studies = read.driver(engine), len(read.studies(engine))
    except OrchestratorError as error:
        return Finding("ledger", False, redact(str(error).splitlines()[0]), "check ABLATE_HOME and ABLATE_LEDGER_URL")
    lead = "a driver is running" if driver and driver.is_live else "no driver is running"
    return Finding("ledger", True, f"{num_studies} studies, {lead}")


def _mlflow(settings: Settings) -> Finding:
    uri = settings.mlflow_uri
    file = sqlite_file(uri)
    if file is not None and file.is_file():
        return _mlflow_file(file)
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return Finding("mlflow", True, "off" if uri == "off" else redact(uri))
    address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    try:
        socket.create_connection(address, timeout=3).close()
    except OSError as error:
        return Finding("mlflow", False, f"{redact(uri)} does not answer: {error}",
                     "start the server or set ABLATE_MLFLOW_URI; nothing is lost, the messages are kept")
    return Finding("mlflow", True, f"{redact(uri)} answers")


def _mlflow_file(file: Path) -> Finding:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        return Finding("mlflow", False, f"{file}: {error}", mlflow_repair(file))
    return Finding("mlflow", True, str(file))


def _checkpoint() -> Finding:
    try:
        directory = packaged(TINY)
        verify(directory)
    except (CorruptDirectory, OrchestratorError) as error:
        return Finding(
            "checkpoint", False, str(error).splitlines()[0], "restore model/checkpoints/tiny from the repository"
        )
    return Finding("checkpoint", True, f"{TINY} is complete")


def _ray(settings: Settings) -> Finding:
    is_there = importlib.util.find_spec("ray") is not None
    cluster = settings.ray_address or "a local cluster is started when needed"
    return Finding(
        "ray", is_there, f"{cluster}; {settings.slots} slots" if is_there else "cannot be imported", "make setup"
    )


def _chromium() -> Finding:
    path = shutil.which("chromium")
    return Finding("chromium", True, path or "not found (optional: only the browser tests need it)",
                 "" if path else "apt-get install chromium")


def _print(checks: list[Finding]) -> None:
    table = Table.grid(padding=(0, 2))
    for check in checks:
        mark = Text("ok", style="green") if check.is_ok else Text("problem", style="bold red")
        table.add_row(mark, check.name, check.found)
        if check.fix and not check.is_ok:
            table.add_row("", "", Text(f"fix: {check.fix}", style="yellow"))
    out().print(table)
