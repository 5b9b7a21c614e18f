"""S1, S2, S3, S14: the real services as we start them, asked by somebody who should not be let in."""

import base64
import http.client
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from tests.browser.conftest import running_dashboard
from tests.support.mlflow_server import unused_port
from tests.support.ray_head import Head, head  # noqa: F401 (fixture)

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def asked(address, path, method="GET", **headers):
    """Return the status of an answer; http.client, since others set the Host header themselves."""
    host, _, port = address.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    connection.putrequest(method, path, skip_host=True)
    for name, value in {"Host": address.removeprefix("http://"), **headers}.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


def until_it_answers(address, path, process, **headers):
    for _ in range(600):
        assert process.poll() is None, "the service ended"
        try:
            return asked(address, path, **headers)
        except OSError:
            psutil.Process(process.pid).cpu_percent(interval=0.2)
    raise AssertionError(f"{address} does not answer")


# ---- S1 ----


@pytest.mark.timeout(600)
def test_s01_ray_jobs_answer_only_with_the_token(head: Head):  # noqa: F811
    until_it_answers(head.jobs, "/api/version", head.process)
    right, wrong = f"Bearer {head.token}", f"Bearer {'0' * 64}"
    assert asked(head.jobs, "/api/jobs/") == 401
    assert asked(head.jobs, "/api/jobs/", Authorization=wrong) == 403
    assert asked(head.jobs, "/api/jobs/", Authorization=right) == 200
    assert asked(head.jobs, "/api/jobs/", method="POST") in (401, 403)


@pytest.mark.parametrize("name", ["ray-head", "ray-worker", "driver"])
def test_s01_every_ray_process_of_compose_has_the_token_mode(name):
    assert COMPOSE[name]["environment"]["RAY_AUTH_MODE"] == "token"


# ---- S2, S3, S14: the dashboard ----


@pytest.fixture
def dashboard(tmp_path, monkeypatch):
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path))
    with running_dashboard(tmp_path) as address:
        yield address


def listening_of(process):
    tree = [process, *process.children(recursive=True)]
    return {each.laddr.ip for one in tree for each in one.net_connections() if each.status == "LISTEN"}


def test_s02_the_dashboard_listens_on_loopback_alone(dashboard):
    port = int(dashboard.rpartition(":")[2])
    servers = [child for child in psutil.Process().children(recursive=True)
               if any(each.status == "LISTEN" and each.laddr.port == port for each in child.net_connections())]
    assert listening_of(servers[0]) <= LOOPBACK


def handshake(address, **headers):
    key = base64.b64encode(os.urandom(16)).decode()
    return asked(address, "/_stcore/stream", Upgrade="websocket", Connection="Upgrade", Sec_WebSocket_Key=key,
                 Sec_WebSocket_Version="13", **headers)


def test_s03_a_page_of_another_site_cannot_open_the_dashboard(dashboard):
    ours = dashboard.removeprefix("http://")
    assert handshake(dashboard, Origin=dashboard) == 101
    assert handshake(dashboard, Host="evil.com", Origin="http://evil.com") == 403
    assert handshake(dashboard, Host=ours, Origin="http://evil.com") == 403


def test_s14_the_browser_is_shown_no_traceback():
    import tomllib

    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert config["client"] == {"showErrorDetails": "none", "showErrorLinks": False, "toolbarMode": "viewer"}


# ---- S3: MLflow with the settings of compose ----


@pytest.mark.timeout(600)
def test_s03_mlflow_answers_to_its_own_name_alone(tmp_path):
    port, service = unused_port(), COMPOSE["mlflow"]
    settings = {name: str(value) for name, value in service["environment"].items() if name.startswith("MLFLOW_")}
    command = [sys.executable, "-P", "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
               "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination", str(tmp_path / "a"),
               "--serve-artifacts"]
    server = subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address, path = f"http://127.0.0.1:{port}", "/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
    try:
        until_it_answers(address, "/health", server)
        assert asked(address, path, Host="mlflow:5000") == 200
        assert [asked(address, path, Host=host) for host in ("evil.com", "10.evil.com", "mlflow.evil.com:5000")] == [403] * 3
        assert asked(address, "/api/2.0/mlflow/experiments/create", method="POST", Host="mlflow:5000", Origin="http://evil.com") == 403
    finally:
        server.terminate()
        server.wait(60)
