"""The compose file and the image keep their promises: nothing reachable but the dashboard on loopback, no privileges, secrets as files."""

import re
from pathlib import Path

import pytest
import yaml

from orchestrator.deploy import secret_files
from orchestrator.settings import Settings, known_names

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]


def test_the_parts_are_there():
    assert SERVICES.keys() == {"postgres", "ledger", "mlflow", "ray-head", "ray-worker", "ray-worker-gpu", "driver", "dashboard", "proxy"}
    assert {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service} == {
        "ray-worker-gpu": ["gpu"], "proxy": ["proxy"]}


def test_only_the_dashboard_publishes_a_port_and_on_loopback_and_the_proxy_where_one_asks_for_it():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"dashboard": ["${ABLATE_BIND:-127.0.0.1}:8501:8501"], "proxy": ["${ABLATE_PROXY_BIND:-127.0.0.1}:8080:8080"]}
    assert COMPOSE["networks"]["core"] == {"internal": True}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined_and_watched(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    assert service["restart"] == "no" or service["healthcheck"]["test"]
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", SERVICES)
def test_no_image_is_the_newest_whatever_that_is(name):
    image = SERVICES[name]["image"]
    assert image in ("ablate", "ablate-gpu") or re.search(r":\d+\.\d+(\.\d+)?-\w+\}$", image)


def test_the_base_image_is_pinned_and_its_digest_can_be():
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.11\.\d+-slim-bookworm$", DOCKERFILE, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON_IMAGE}", "app"}


def test_the_image_holds_what_the_project_needs_at_the_versions_of_the_lock():
    assert "--constraint requirements.lock --requirements pyproject.toml --extra server" in DOCKERFILE
    assert "-r requirements.lock" not in DOCKERFILE


def test_every_folder_that_is_imported_or_read_is_in_the_image():
    copied = set(re.findall(r"^COPY (?:--from=\S+ )?(\S+) ", DOCKERFILE, re.MULTILINE))
    assert {"model", "orchestrator", "dashboard", "studies", ".streamlit"} <= copied


@pytest.mark.parametrize("name", ["ray-head", "ray-worker", "driver"])
def test_ray_asks_for_a_token_everywhere(name):
    environment = SERVICES[name]["environment"]
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_AUTH_TOKEN_PATH"].startswith("/run/secrets/")


def test_the_driver_runs_on_a_node_of_the_cluster_and_submits_nothing():
    command = SERVICES["driver"]["entrypoint"][-1]
    assert SERVICES["driver"]["depends_on"]["ledger"] == {"condition": "service_completed_successfully"}
    assert command.startswith("ray start --address=ray-head:6379 --num-cpus=0")
    assert "exec ablate drive" in command
    assert "submit" not in command


def test_the_driver_has_longer_to_stop_than_its_stages_have_to_save():
    for name in ("driver", "ray-worker", "ray-worker-gpu"):
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > Settings.model_fields["stop_grace_s"].default + 20


def test_slots_follow_the_workers_that_there_are():
    assert SERVICES["driver"]["environment"]["ABLATE_SLOTS_FOLLOW_NODES"] == "true"
    assert "--num-cpus=${ABLATE_SLOTS:-2}" in SERVICES["ray-worker"]["entrypoint"]
    assert [name for name in ("ray-head", "driver") if "--num-cpus=0" not in str(SERVICES[name]["entrypoint"])] == []


def test_gpu_workers_have_a_compiler_and_a_folder_that_may_run_code():
    assert "exec" in next(mount for mount in SERVICES["ray-worker-gpu"]["tmpfs"] if mount.startswith("/cache:")).split(":")[1].split(",")
    gpu = DOCKERFILE.partition("AS gpu")[2]
    assert "gcc" in gpu
    assert "TRITON_CACHE_DIR=/cache/" in gpu
    assert SERVICES["driver"]["environment"]["ABLATE_GPUS_PER_SLOT"] == "${ABLATE_GPUS_PER_SLOT:-0}"


def test_own_files_are_mounted_to_be_read_where_studies_and_data_are_read():
    for name in ("driver", "ray-worker", "ray-worker-gpu", "dashboard"):
        assert "${ABLATE_OWN:-own}:/own:ro" in SERVICES[name]["volumes"]


def test_health_checks_of_nodes_and_driver_start_no_python():
    for name in ("ray-head", "ray-worker", "ray-worker-gpu", "driver"):
        assert SERVICES[name]["healthcheck"]["test"][1].startswith("test -n")


def test_everybody_asks_mlflow_at_the_host_and_below_the_path_that_it_serves(tmp_path):
    service = SERVICES["mlflow"]
    prefix = service["entrypoint"][service["entrypoint"].index("--static-prefix") + 1]
    served = service["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"] + prefix
    assert secret_files.contents(tmp_path)["mlflow_uri"].partition("@")[2] == served
    assert f"'http://{served}/health'" in service["healthcheck"]["test"][4]
    proxy = (ROOT / "orchestrator" / "deploy" / "nginx.conf").read_text()
    assert f"location {prefix}/" in proxy
    assert "proxy_set_header Host mlflow:5000;" in proxy


def test_nothing_but_the_one_that_makes_the_roles_is_the_owner_of_the_ledger():
    assert {name for name, service in SERVICES.items() if "owner_url" in service.get("secrets", ())} == {"ledger"}
    assert SERVICES["driver"]["environment"]["ABLATE_LEDGER_URL_FILE"] == "/run/secrets/driver_url"
    assert SERVICES["dashboard"]["environment"]["ABLATE_LEDGER_URL_FILE"] == "/run/secrets/reader_url"


def test_the_secret_files_are_those_that_are_made(tmp_path):
    made = secret_files.contents(tmp_path)
    assert COMPOSE["secrets"].keys() - made.keys() == set()
    assert made["owner_url"] == f"postgresql+psycopg://ablate_owner:{made['postgres_password']}@postgres/ablate"
    assert made["mlflow_password"] in made["mlflow_uri"]


def test_secret_files_are_made_once_for_one_user_alone(tmp_path, capsys):
    for _ in range(2):
        secret_files.main(tmp_path / "secrets")
    made = [path for path in (tmp_path / "secrets").iterdir() if path.stat().st_mode & 0o777 == 0o600]
    assert len(made) == len(secret_files.contents(tmp_path)) == capsys.readouterr().out.count("made ")


def test_the_proxy_names_the_person_and_takes_what_clients_send_away():
    text = (ROOT / "orchestrator" / "deploy" / "nginx.conf").read_text()
    assert text.count("proxy_pass") == 2
    assert "proxy_set_header X-Ablate-User $remote_user;" in text
    assert "auth_basic_user_file" in text.partition("location")[0]


def test_the_dashboard_is_told_where_the_host_publishes_it():
    service = SERVICES["dashboard"]
    assert service["environment"]["ABLATE_DASHBOARD_PUBLISHED"] == service["ports"][0].rpartition(":8501:8501")[0]
    assert service["entrypoint"] == ["ablate", "dashboard"]


def test_every_setting_that_is_named_exists():
    names = {name for service in SERVICES.values() for name in service.get("environment", {}) if name.startswith("ABLATE_")}
    assert names - known_names() == set()


def test_secrets_are_kept_out_of_git_and_of_the_image():
    assert all("secrets/" in (ROOT / name).read_text().splitlines() for name in (".gitignore", ".dockerignore"))


def test_secrets_are_files_without_defaults():
    assert all(":?" in secret["file"] for secret in COMPOSE["secrets"].values())
    values = [str(value) for service in SERVICES.values() for key, value in service.get("environment", {}).items() if "PASSWORD" in key]
    assert all(value.startswith("/run/secrets/") for value in values)


def test_the_image_does_not_serve_as_root():
    assert "USER 10001:10001" in (ROOT / "Dockerfile").read_text()
