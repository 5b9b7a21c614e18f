"""A whole cluster on this host, by `ablate up`: what it serves, what it listens on, and what a kill of each part does."""

import getpass
import json
import os
import signal
import threading
from collections.abc import Callable

import pytest

from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine, open_for_reading
from orchestrator.ledger.verify import verify
from tests.deploy.conftest import LOOPBACK, Deployment
from tests.support.toy import table

NAMES = ["postgres", "ray-head", "ray-worker-1", "mlflow", "driver", "dashboard"]
STUDY = """\
name: {name}
question: Does it end as it would have, whatever is killed?
recipe: sft-ablation
set: {{sft.images: {{mode: single, tile: low}}, sft.steps: {steps}, sft.batch: 4, sft.warmup_steps: 0, evaluate.num_items: 2}}
vary: {{sft.mixture.alpha.science: [0, 0.5, 1]}}
seeds: 2
evaluate: {{benchmarks: [scene-probe]}}
select: {{maximize: scene-probe}}
"""


def until(is_so: Callable[[], bool], seconds: float = 240.0) -> None:
    for _ in range(int(seconds / 0.2)):
        if is_so():
            return
        threading.Event().wait(0.2)
    raise AssertionError("it did not come to be")


def listening(names: list[str], deployment: Deployment) -> dict[str, set[str]]:
    """Return the addresses that each service listens on."""
    return {name: {each.laddr.ip for one in deployment.family(name) for each in one.net_connections() if each.status == "LISTEN"}
            for name in names}


@pytest.mark.timeout(600)
def test_it_comes_up_well_listens_on_loopback_alone_and_goes_down(deployment: Deployment) -> None:
    assert deployment.up() == set(NAMES)
    states = deployment.json("up", "--status")["services"]
    assert {each["name"]: each["problem"] for each in states} == dict.fromkeys(NAMES, "")
    found = listening(NAMES, deployment)
    assert [name for name, addresses in found.items() if not addresses <= LOOPBACK] == [], found
    assert all(found[name] for name in NAMES if name != "driver")
    families = {name: deployment.family(name) for name in NAMES}
    words = " ".join(word for family in families.values() for each in family for word in each.cmdline())
    secrets = {path.name: path.read_text() for path in (deployment.up_folder / "secrets").iterdir()}
    assert [name for name, secret in secrets.items() if secret and secret in words] == []
    assert deployment.up() == set(), "what runs is left alone"
    assert {name: deployment.pid(name) for name in NAMES} == {name: families[name][0].pid for name in NAMES}
    assert sorted(deployment.json("down")["ended"]) == sorted(NAMES)
    assert [each for family in families.values() for each in family if each.is_running() and each.status() != "zombie"] == []
    deployment.ablate("up", "--status", code=1)


def test_nothing_was_started_nothing_is_ended(deployment: Deployment) -> None:
    assert deployment.json("down") == {"ended": []}
    deployment.ablate("up", "--status", code=1)
    assert not deployment.up_folder.exists()


# ---- killed part by part ----


class World:
    """A study under way in a deployment, and what its people do."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        secrets = deployment.up_folder / "secrets"
        self.engine: Engine = open_for_reading((secrets / "reader_url").read_text())
        url = deployment.json("ledger", "role", "alice", "--may", "submit", **deployment.url_file("owner"))["url"]
        self.alice = {"ABLATE_LEDGER_URL": url, "ABLATE_MLFLOW_URI": "off"}
        self.operator = deployment.url_file("person")

    def submit(self, name: str, steps: int = 120) -> str:
        path = self.deployment.home / f"{name}.yaml"
        path.write_text(STUDY.format(name=name, steps=steps))
        return str(self.deployment.json("submit", str(path), **self.alice)["study_id"])

    def state(self, study_id: str) -> str:
        return str(read.study(self.engine, study_id).state)

    def is_at_work(self, study_id: str) -> bool:
        assert self.state(study_id) != "COMPLETED", "it ended before everything was killed: give it more steps"
        return any(row.state == "RUNNING" for row in read.stages(self.engine, study_id))

    def is_driven(self) -> bool:
        holder = read.driver(self.engine)
        return bool(holder and holder.is_live and holder.holder["pid"] == self.deployment.pid("driver"))

    def num_done(self, study_id: str) -> int:
        return sum(row.state == "SUCCEEDED" for row in read.stages(self.engine, study_id))


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_killed_part_by_part_paused_and_cancelled_it_ends_as_undisturbed(deployment: Deployment, record_property) -> None:
    deployment.up()
    world = World(deployment)
    study_id = world.submit("killed")
    killed = {name: {name} for name in ("driver", "mlflow", "ray-worker-1", "dashboard", "postgres")}
    killed["ray-head"] = {"ray-head", "ray-worker-1", "driver"}  # what is joined to it begins anew
    for victim, started in killed.items():
        until(lambda: world.is_at_work(study_id))
        os.kill(deployment.pid(victim), signal.SIGKILL)
        assert deployment.up() == started
    world.engine.dispose()
    assert {each["name"]: each["problem"] for each in deployment.json("up", "--status")["services"]} == dict.fromkeys(NAMES, "")
    paused_over_restarts(world, study_id)
    other = world.submit("cancelled", steps=2000)
    deployment.ablate("cancel", "cancelled", "--yes", **world.alice)
    deployment.ablate("down")
    deployment.up()
    world.engine.dispose()
    until(world.is_driven)
    until(lambda: world.state(study_id) == "COMPLETED", 900)
    assert world.state(other) == "CANCELLED"
    assert table(world.engine, study_id) == undisturbed(deployment)
    assert verify(world.engine).differences == ()
    named = {event.actor for event in read.events(world.engine, None, 100_000) if not event.actor.startswith("driver ")}
    assert named == {"alice", getpass.getuser(), "ablate"}
    until(lambda: read.outbox_lag(world.engine) == 0)
    record_property("survived", len(killed) + 2)


def paused_over_restarts(world: World, study_id: str) -> None:
    """Pause, kill the driver, and find the study paused; nothing of it goes on until somebody resumes it."""
    until(lambda: world.is_at_work(study_id))
    world.deployment.ablate("pause", "killed", **world.operator)
    os.kill(world.deployment.pid("driver"), signal.SIGKILL)
    assert world.deployment.up() == {"driver"}
    until(world.is_driven)
    until(lambda: not world.is_at_work(study_id))
    done = world.num_done(study_id)
    world.deployment.ablate("submit", str(world.deployment.home / "killed.yaml"), **world.alice)
    assert (world.state(study_id), world.num_done(study_id)) == ("PAUSED", done)
    world.deployment.ablate("resume", "killed", **world.operator)


def undisturbed(deployment: Deployment) -> list:
    """Return the table of the same study in a home of its own, run to its end by one command."""
    home = deployment.home / "undisturbed"
    deployment.ablate("run", str(deployment.home / "killed.yaml"), ABLATE_HOME=str(home), ABLATE_MLFLOW_URI="off")
    engine = open_for_reading(f"sqlite:///{home}/ledger.db")
    found = table(engine, read.studies(engine)[0].study_id)
    engine.dispose()
    return found


def test_a_note_with_the_number_of_another_process_ends_nobody(deployment: Deployment) -> None:
    deployment.up_folder.mkdir()
    (deployment.up_folder / "order").write_text("\n".join(NAMES))
    (deployment.up_folder / "secrets").mkdir()
    (deployment.up_folder / "driver.json").write_text(json.dumps({"pid": os.getpid(), "began": 1.0, "signal": 15, "grace_s": 1}))
    assert deployment.json("down") == {"ended": []}
