"""Which slots no node can ever hold; a real cluster is asked in `test_ray_jobs.py`."""

import pytest

from orchestrator.execution.ray.nodes import Node, has_label, misfit, nodes_of
from tests.support.toy import toy_settings

H100 = {"ray.io/accelerator-type": "H100", "pool": "a"}
NODES = [Node(name="head", cpus=4, gpus=0, labels={}), Node(name="big", cpus=16, gpus=4, labels=H100)]


def problem(tmp_path, nodes=NODES, workers=1, **settings):
    return misfit(toy_settings(tmp_path, **settings), nodes, workers)


@pytest.mark.parametrize("demand", [{}, {"gpus_per_slot": 4.0}, {"gpus_per_slot": 0.5}, {"slot_labels": {"pool": "a"}},
                                    {"slot_labels": {"pool": "in(a, b)"}}, {"slot_labels": {"pool": "!b"}}])
def test_what_fits_on_a_node_is_not_refused(tmp_path, demand):
    assert problem(tmp_path, **demand) == ""


def test_more_gpus_than_any_node_has_are_named_beside_the_largest_node(tmp_path):
    assert problem(tmp_path, gpus_per_slot=8.0) == "a slot needs 1 CPU, 8 GPUs; the largest of 2 such nodes, big, has 16 CPUs and 4 GPUs"


def test_a_cluster_that_just_starts_and_names_no_node_refuses_nothing(tmp_path):
    assert problem(tmp_path, [], gpus_per_slot=8.0, slot_labels={"pool": "a"}) == ""


def test_a_fraction_needs_a_gpu_too(tmp_path):
    assert "0.5 GPU; the largest of 1 such nodes, head, has 4 CPUs and 0 GPUs" in problem(tmp_path, NODES[:1], gpus_per_slot=0.5)


def test_a_label_that_no_node_has_is_named_beside_those_there_are(tmp_path):
    found = problem(tmp_path, slot_labels={"ray.io/accelerator-type": "B200"})
    assert "label ray.io/accelerator-type=B200; none of the 2 nodes has these labels (there are: ray.io/accelerator-type=H100)" in found


def test_gpus_are_counted_on_the_nodes_with_the_labels(tmp_path):
    cpu_pool = Node(name="cpu", cpus=64, gpus=0, labels={"pool": "cpu"})
    assert "the largest of 1 such nodes, cpu, has 64 CPUs and 0 GPUs" in problem(
        tmp_path, [*NODES, cpu_pool], gpus_per_slot=1.0, slot_labels={"pool": "cpu"})


def test_slots_of_one_stage_must_fit_together(tmp_path):
    assert problem(tmp_path, workers=2, gpus_per_slot=2.0) == ""
    assert "a stage takes 3 slots of 1 CPU, 2 GPUs; 2 such nodes hold 2 in all" in problem(tmp_path, workers=3, gpus_per_slot=2.0)
    assert problem(tmp_path, workers=8, gpus_per_slot=0.5) == ""
    assert problem(tmp_path, workers=9, gpus_per_slot=0.5) != ""


@pytest.mark.parametrize(("selector", "is_met"), [("a", True), ("b", False), ("!a", False), ("!b", True), ("in(a,b)", True),
                                                  ("!in(a, b)", False), ("!in(b)", True)])
def test_selectors_are_those_of_ray(selector, is_met):
    assert has_label({"pool": "a"}, "pool", selector) is is_met


def test_without_a_cluster_this_machine_is_the_node(tmp_path, monkeypatch):
    monkeypatch.setattr("orchestrator.execution.ray.nodes.num_gpus", lambda: 0)
    settings = toy_settings(tmp_path, gpus_per_slot=1.0, slot_labels={"pool": "a"})
    assert misfit(settings, nodes_of(settings), 1) == ("a slot needs 1 CPU, 1 GPU, label pool=a; the largest of 1 such nodes, "
                                                       "this machine, has 2 CPUs and 0 GPUs")
