"""The failure matrix: what may happen, and the tests that show what becomes of it. `make chaos` prints it with counts."""

from dataclasses import dataclass

_C, _O = "tests/chaos/", "tests/orchestrator/"


@dataclass(frozen=True)
class Row:
    """One failure, and the beginnings of the names of the tests that survive it."""

    number: int
    failure: str
    tests: tuple[str, ...]


ROWS = tuple(Row(number, failure, tests) for number, failure, tests in (
    (1, "driver killed at any instruction", (f"{_C}test_failpoints.py::test_a_kill",)),
    (2, "driver killed after a worker finished, before accepting", (
        f"{_C}test_failpoints.py::test_what_a_killed_driver", f"{_O}driver/test_loop.py::test_a_result_that_nobody_accepted")),
    (3, "worker killed", (f"{_C}test_cluster.py::test_a_killed_worker", f"{_O}execution/ray/test_executor.py::test_a_dead_worker",
                          f"{_O}execution/ray/test_executor.py::test_a_study_survives",
                          f"{_O}execution/ray/test_train.py::test_a_study_ends")),
    (4, "worker's host out of memory", (f"{_C}test_cluster.py::test_spent_memory", f"{_C}test_workers.py::test_a_host_out_of_memory")),
    (5, "CUDA out of memory, exception of a stage", (
        f"{_O}execution/test_worker.py::test_foreign_exceptions", f"{_O}driver/test_loop.py::test_failures_stop",
        f"{_O}driver/test_loop.py::test_the_same_error", f"{_C}test_workers.py::test_memory_of_the_device")),
    (6, "worker hangs", (f"{_C}test_cluster.py::test_a_stage_that_hangs", f"{_C}test_workers.py::test_a_stalled")),
    (7, "node lost, none left, one joins", (f"{_C}test_cluster.py::test_a_lost_node", f"{_C}test_cluster.py::test_with_no_node_left")),
    (8, "preemption notice", (f"{_C}test_cluster.py::test_what_runs_on_a_node", f"{_O}driver/test_loop.py::test_sigterm")),
    (9, "head of the cluster lost", (f"{_C}test_cluster.py::test_after_the_head",)),
    (10, "database killed, restarted, away for long", (
        f"{_C}test_database.py::test_a_database_that_is_killed", f"{_C}test_database.py::test_a_driver_whose_database",
        f"{_C}test_database.py::test_a_connection_that", f"{_C}test_database.py::test_a_commit_that_did_not")),
    (11, "reply to COMMIT lost", (f"{_C}test_database.py::test_a_commit_whose",)),
    (12, "conflicting writers, locked database", (f"{_C}test_database.py::test_eight", f"{_C}test_database.py::test_a_writer")),
    (13, "MLflow down, slow, failing", (f"{_C}test_mlflow.py", f"{_C}test_failpoints.py::test_a_kill_while_tracking",
                                        f"{_O}tracking/test_flusher.py::test_server_that_is_down")),
    (14, "disk full below a checkpoint", (f"{_C}test_disk.py::test_a_full",)),
    (15, "disk full below the ledger", (f"{_C}test_database.py::test_a_full_disk",)),
    (16, "checkpoint damaged", (f"{_C}test_disk.py::test_a_damaged",)),
    (17, "clocks jump", (f"{_C}test_database.py::test_a_clock", f"{_C}test_database.py::test_a_lease_from")),
    (18, "study submitted twice", (f"{_O}ledger/test_submit.py::test_the_same_study", f"{_O}ledger/test_submit.py::test_sixteen")),
    (19, "two drivers", (f"{_C}test_two_drivers.py::test_a_driver_that", f"{_O}ledger/test_lease.py::test_only_the_newest",
                         f"{_O}ledger/test_lease.py::test_a_process_at_work", f"{_O}driver/test_loop.py::test_a_driver_whose_executor")),
    (20, "zombie worker reports late", (f"{_C}test_two_drivers.py::test_a_zombie", f"{_O}ledger/test_write.py::test_a_late")),
    (21, "object store fails", (f"{_O}artifacts/")),
    (22, "study file that cannot be meant", (f"{_O}study/test_strict_yaml.py", f"{_O}study/test_study.py")),
    (23, "stage that kills every worker", (f"{_C}test_cluster.py::test_a_stage_that_kills",
                                           f"{_O}scheduler/test_decide.py::test_a_stage_that_kills")),
    (24, "metric that is not finite", (f"{_O}scheduler/test_decide.py::test_a_success_with_a_non_finite",
                                       f"{_O}scheduler/test_decide.py::test_a_diverged")),
    (25, "cancelled or paused at any time", (f"{_C}test_failpoints.py::test_a_study_cancelled",
                                             f"{_C}test_failpoints.py::test_a_person", f"{_O}driver/test_loop.py::test_a_study_paused",
                                             f"{_O}driver/test_loop.py::test_cancelling")),
    (26, "ledger of another release", (f"{_O}ledger/test_engine.py::test_a_ledger_of", f"{_O}ledger/test_engine.py::test_an_older_ledger",
                                       f"{_O}ledger/test_engine.py::test_migrations", f"{_O}ledger/test_upgrade.py")),
    (27, "readers that crawl or crash", (f"{_C}test_database.py::test_a_reader",)),
    (28, "benchmark that is missing or incomplete", (f"{_O}results/test_results.py",)),
    (29, "artifact store of another ledger, wrong home", (f"{_O}artifacts/test_owner.py",)),
    (30, "home lost in mid-study, restored from a backup", (f"{_O}cli/test_backup.py",)),
    (31, "upgrade below a driver at work", (f"{_O}ledger/test_engine.py::test_an_older_ledger_is_upgraded",)),
    (32, "nobody drives for hours", (f"{_O}results/test_budget.py::test_no_time", f"{_O}ledger/test_write.py::test_an_attempt_ends_when")),
    (33, "restarts after a person paused or cancelled", (f"{_O}cli/test_run.py::test_what_a_person",)),
    (34, "each part of a whole cluster killed in turn", ("tests/deploy/test_up.py::test_killed_part_by_part",)),
))


def rows_of(nodeid: str) -> list[int]:
    """Return the rows that a test shows."""
    return [row.number for row in ROWS if nodeid.startswith(row.tests)]
