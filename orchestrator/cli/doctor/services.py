"""What the doctor connects to: ledger, artifact store, MLflow, Ray, Ray Jobs, the judge."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from model.evaluation.judge.endpoint import Endpoint, unreachable
from orchestrator.artifacts.opening import artifacts_of, whole_store
from orchestrator.artifacts.owner import owner_of
from orchestrator.cli.doctor.finding import Finding, problem
from orchestrator.errors import OrchestratorError
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine, is_ledger, open_for_reading
from orchestrator.ledger.naming import ledger_id
from orchestrator.ledger.server import ServerRole, clock_skew_s, role
from orchestrator.settings import OFF, Settings, mlflow_repair, redact, sqlite_file
from orchestrator.tracking.flusher_process import to_json_line

MOST_SKEW_S = 2.0
"""Leases are compared by the database's clock alone; times of progress and logs are by this machine's."""
ANSWER_S = 90.0
"""Seconds that a service has for everything that is asked of it."""


def examine(settings: Settings) -> Iterator[Finding]:
    """Connect to everything that the settings name, one after the other."""
    try:
        engine = open_for_reading(settings.ledger_url)
    except OrchestratorError as error:
        yield _no_ledger(error)
    else:
        yield from _ledger(engine)
        yield _store(settings, ledger_id(engine))
        engine.dispose()
    yield _mlflow(settings)
    yield _ray(settings)
    if settings.ray_jobs:
        yield _asked("ray jobs", "orchestrator.execution.ray.probe", settings, "--jobs", what=settings.ray_jobs,
                     fix="see ABLATE_RAY_JOBS (the head's dashboard, http://HEAD:8265), RAY_AUTH_MODE and the token")
    if settings.judge_url:
        yield _judge(settings)


def _no_ledger(error: OrchestratorError) -> Finding:
    hint = str(error).partition("hint: ")[2]
    return problem("ledger", error, redact(hint) or "see ABLATE_HOME and ABLATE_LEDGER_URL")


def _ledger(engine: Engine) -> Iterator[Finding]:
    if not is_ledger(engine):
        yield Finding("ledger", True, "there is none yet; the first study makes it")
        return
    driver, num_studies = read.driver(engine), len(read.studies(engine))
    lead = "a driver is running" if driver and driver.is_live else "no driver is running"
    server = role(engine)
    yield Finding("ledger", True, f"{num_studies} studies, {lead}{_told(server)}")
    if server:
        skew_s = clock_skew_s(engine)
        yield Finding("clock", abs(skew_s) <= MOST_SKEW_S, f"{abs(skew_s):.1f} s from the database's",
                      "let NTP set the clocks of this machine and of the database server")


def _told(server: ServerRole | None) -> str:
    if server is None:
        return ""
    power = " (a superuser: a role that owns only this database is enough)" if server.is_superuser else ""
    return f"; PostgreSQL {server.version}, role {server.name}{power}, {'may write' if server.may_write else 'reads only'}"


def _store(settings: Settings, of_ledger: str) -> Finding:
    fix = "see ABLATE_ARTIFACTS, and the credentials that it needs"
    try:
        whole = whole_store(settings)
        mine = artifacts_of(settings, of_ledger)
        owner = owner_of(mine)
        if whole.store is not None:
            name = f"doctor-{uuid.uuid4().hex}"
            whole.store.write_new(f"{name}/probe", name)
            is_back = whole.store.names(name) == [f"{name}/probe"] and whole.store.read_text(f"{name}/probe") == name
            whole.store.remove(name)
            if not is_back:
                return Finding("artifact store", False, f"{whole.where}: what was written was not found again", fix)
    except OrchestratorError as error:
        return problem("artifact store", error, fix)
    if owner is not None and of_ledger and owner.ledger_id != of_ledger:
        return Finding("artifact store", True, f"{mine.where} belongs to {owner.ledger}; this ledger will get a part of its own")
    return Finding("artifact store", True, f"{mine.where} can be written and listed" if whole.store else mine.where)


def _mlflow(settings: Settings) -> Finding:
    uri = settings.mlflow_uri
    file = sqlite_file(uri)
    if uri == OFF or (file is not None and not file.is_file()):
        return Finding("mlflow", True, OFF if uri == OFF else f"{file}, which the first study makes")
    if file is not None:
        return _mlflow_file(file)
    return _asked("mlflow", "orchestrator.tracking.probe", settings, what=redact(uri),
                  fix="start the server or set ABLATE_MLFLOW_URI; nothing is lost meanwhile, the outbox waits")


def _mlflow_file(file: Path) -> Finding:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        return Finding("mlflow", False, f"{file}: {error}", mlflow_repair(file))
    return Finding("mlflow", True, str(file))


def _ray(settings: Settings) -> Finding:
    if not settings.ray_address:
        return Finding("ray", True, f"a local cluster is started when needed; {settings.slots} slots")
    return _asked("ray", "orchestrator.execution.ray.probe", settings, what=settings.ray_address,
                  fix="see ABLATE_RAY_ADDRESS, RAY_AUTH_MODE and the token; a driver must run on a node of the cluster")


def _judge(settings: Settings) -> Finding:
    reason = unreachable(Endpoint(url=settings.judge_url, key_file=settings.judge_key_file))
    where = redact(settings.judge_url)
    return Finding("judge", not reason, f"{where}: {redact(reason)}" if reason else f"{where} lists its models",
                   "see ABLATE_JUDGE_URL and ABLATE_JUDGE_KEY_FILE")


def _asked(name: str, module: str, settings: Settings, *flags: str, what: str, fix: str) -> Finding:
    """Have a process of its own connect, which imports what this one should not, and may hang."""
    command = [sys.executable, "-P", "-W", "ignore", "-m", module, *flags]
    try:
        done = subprocess.run(command, input=to_json_line(settings) + "\n", capture_output=True, text=True,
                              timeout=ANSWER_S, check=False)
    except subprocess.TimeoutExpired:
        return Finding(name, False, f"{what} does not answer within {ANSWER_S:.0f} s", fix)
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if not last.startswith("{"):
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Finding(name, False, redact(f"{what}: {said}"), fix)
    answer = json.loads(last)
    if answer["problem"]:
        return Finding(name, False, redact(f"{what}: {answer['problem']}"), fix)
    return Finding(name, True, f"{what}: {answer['found']}")
