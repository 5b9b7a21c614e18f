import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from dashboard import acts, queries
from dashboard import text as words
from dashboard.rows import events, trials
from orchestrator.errors import StudyError
from orchestrator.ledger import read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import transaction
from orchestrator.ledger.rows import EventRow
from orchestrator.results.results import Results
from tests.support.synthetic import Sketch, sketch
from tests.support.synthetic import lease as synthetic_lease

Found = Callable[..., Results]


def test_interval_says_n_of_one() -> None:
    assert words.interval(4.2, None) == "4.2 (n=1)"
    assert words.interval(4.2, 0.31, sign=True) == "+4.2 ± 0.3"


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1+1", "-1-1", "@x", "\tx"])
def test_formulas_are_made_harmless(text: str) -> None:
    assert words.safe(text) == "'" + text


def test_plain_markdown_shows_what_was_written() -> None:
    assert words.plain_markdown("<b>*x*</b> :red[y] $z$\nw") == r"\<b\>\*x\*\</b\> \:red\[y\] \$z\$ w"


@pytest.mark.parametrize("text", ["http://a.b", "https://a.b", "www.a.b", "mailto:a@b.c", "x@y.z"])
def test_addresses_become_no_links(text: str) -> None:
    shown = words.plain_markdown(text).replace("\\", "")
    assert text not in shown
    assert shown.replace("\N{WORD JOINER}", "") == text


def test_turned_text_is_made_visible() -> None:
    assert words.safe("a\u202eb") == "a\ufffdb"


def test_the_first_version_keeps_its_label(engine: Engine) -> None:
    row = read.study(engine, sketch(engine, Sketch()))
    labels = queries.labelled([replace(row, version=2, study_id="b"), row])
    assert {label: each.version for label, each in labels.items()} == {"quickstart@tiny v2": 2, "quickstart@tiny": 1}


def test_a_running_study_without_a_driver_waits(engine: Engine) -> None:
    row = read.study(engine, sketch(engine, Sketch(state="RUNNING", done=0.5)))
    assert queries.shown_state(row, queries.health(engine, [row])) == "WAITING"
    synthetic_lease(engine)
    assert queries.shown_state(row, queries.health(engine, [row])) == "RUNNING"


def test_outcomes_are_kept_until_a_study_changes(engine: Engine) -> None:
    for name in ("a", "b"):
        sketch(engine, Sketch(name=name))
    rows, outcomes = read.studies(engine), queries.Outcomes()
    assert outcomes.num_missing(rows) == 2
    first = outcomes.look(engine, rows, seconds=60)
    assert {each.verdict for each in first.values()} == {"selected"}
    assert outcomes.num_missing(rows) == 0
    assert outcomes.num_missing([replace(rows[0], trials_done=1), rows[1]]) == 1
    assert outcomes.look(engine, rows)[rows[0].study_id] is first[rows[0].study_id]


def test_a_record_of_another_release_does_not_hide_the_others(engine: Engine) -> None:
    sketch(engine, Sketch(name="good"))
    broken = sketch(engine, Sketch(name="broken"))
    with transaction(engine) as connection:
        spec = read.study(engine, broken).spec
        spec["study"]["sedes"] = 3
        connection.execute(t.studies.update().where(t.studies.c.study_id == broken).values(spec=json.dumps(spec)))
    rows = read.studies(engine)
    found = queries.Outcomes().look(engine, rows, seconds=60)
    assert {row.name: found[row.study_id].verdict for row in rows} == {"good": "selected", "broken": "unreadable"}
    with pytest.raises(StudyError, match="broken@tiny: its record in the ledger cannot be read by this release"):
        queries.gathered(engine, read.study(engine, broken))


def test_reasons_are_counted(engine: Engine) -> None:
    sketch(engine, Sketch(states={(0, 0): "FAILED", (0, 1): "FAILED", (1, 0): "DIVERGED"}))
    rows = read.studies(engine)
    assert list(queries.failure_reasons(engine, rows).values()) == ["2 × sample 17: 3 images, allowed: 1"]


def event(entity: str, before: str, after: str, **detail: object) -> EventRow:
    return EventRow(event_id=1, at=0.0, study_id="s", entity=entity, entity_id="e", from_state=before, to_state=after,
                    actor="driver 9df11e22f9f8440b", detail=detail)


@pytest.mark.parametrize(("what", "words"), [
    (event("study", "", "QUEUED"), "study was submitted"),
    (event("stage", "QUEUED", "LEASED", attempt_no=2), "stage sft a was handed out (attempt 2)"),
    (event("stage", "RUNNING", "QUEUED", kind="LOST"), "stage sft a waits for another attempt (LOST)"),
    (event("study", "RUNNING", "PAUSED", reason="over budget"), "study was paused (over budget)"),
    (event("share", "", "", priority=2), "share sft a changed (priority 2)")])
def test_events_are_sentences(what: EventRow, words: str) -> None:
    assert events.event_words(what, {"e": "sft a"} if what.entity != "study" else {}) == words
    assert events.actor(what.actor) == "driver 9df11e"


def test_waiting_studies_without_a_driver_are_stale(engine: Engine) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.5))
    assert queries.health(engine, read.studies(engine)).is_stale
    synthetic_lease(engine)
    assert not queries.health(engine, read.studies(engine)).is_stale


def test_stages_of_a_trial_show_attempts_and_problems(found: Found) -> None:
    results = found(states={(0, 0): "DIVERGED"})
    rows = trials.stage_rows(results, results.trial_rows[0].stage_ids)
    assert (rows[1]["state"], rows[1]["attempts"], rows[1]["problem"]) == ("≋ diverged", 1, "loss is not finite at step 41")
    assert rows[0]["trials that use it"] == 9


def test_version_moves_with_the_history(engine: Engine) -> None:
    assert queries.version(engine, sketch(engine, Sketch())) > 0
    assert queries.version(engine, "absent") == 0


@pytest.mark.parametrize(("state", "names"), [("RUNNING", ["pause", "cancel"]), ("PAUSED", ["resume", "cancel"]),
                                              ("COMPLETED", []), ("CANCELLED", ["resume"]), ("FAILED", ["resume"]),
                                              ("QUEUED", ["pause", "cancel"])])
def test_acts_are_those_that_the_state_allows(engine: Engine, state: str, names: list[str]) -> None:
    row = read.study(engine, sketch(engine, Sketch(state=state)))
    assert [act.name for act in acts.allowed_actions(row)] == names


@pytest.mark.parametrize(("ttl_s", "lease"), [(7230.0, "2 h 00 min"), (-7230.0, "expired 2 h 00 min ago"), (-1e9, "released")])
def test_lease_says_what_became_of_it(engine: Engine, ttl_s: float, lease: str) -> None:
    synthetic_lease(engine, ttl_s=ttl_s)
    signs = {label: value for label, value, _ in events.vital_signs(queries.health(engine, []), since=None, busy=0, slots=2)}
    assert signs["Lease"] == lease
