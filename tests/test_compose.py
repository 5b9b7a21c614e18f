"""The compose file keeps its promises: nothing reachable but the dashboard on loopback, no privileges, secrets as files."""

from pathlib import Path

import pytest
import yaml

from orchestrator.settings import Settings, known_names

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]


def test_the_parts_are_there():
    assert SERVICES.keys() == {"postgres", "mlflow", "ray-head", "ray-worker", "driver", "dashboard"}


def test_only_the_dashboard_publishes_a_port_and_on_loopback():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"dashboard": ["${ABLATE_BIND:-127.0.0.1}:8501:8501"]}
    assert COMPOSE["networks"]["core"] == {"internal": True}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined_and_watched(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    assert service["healthcheck"]["test"]


@pytest.mark.parametrize("name", ["ray-head", "ray-worker", "driver"])
def test_ray_asks_for_a_token_everywhere(name):
    environment = SERVICES[name]["environment"]
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_AUTH_TOKEN_PATH"].startswith("/run/secrets/")


def test_the_driver_runs_on_a_node_of_the_cluster_and_submits_nothing():
    command = SERVICES["driver"]["entrypoint"][-1]
    assert command.startswith("ray start --address=ray-head:6379 --num-cpus=0")
    assert "exec ablate drive" in command
    assert "submit" not in command


def test_the_driver_has_longer_to_stop_than_its_stages_have_to_save():
    assert int(SERVICES["driver"]["stop_grace_period"].removesuffix("s")) > Settings.model_fields["stop_grace_s"].default + 20


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
