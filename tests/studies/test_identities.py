"""Stage identities of all shipped studies equal the recorded ones: a change of code that keeps its meaning renames no result.

A change that alters results on purpose records them anew: `python -m tests.studies.test_identities`.
"""

import hashlib
import json
from pathlib import Path

import pytest

from orchestrator.plan.layers import required_studies
from orchestrator.plan.plan import Planner
from orchestrator.study import library
from orchestrator.study.study import load_study
from tests.support.chosen import CHOSEN

RECORDED = Path(__file__).with_name("identities.json")
SCALES = ("tiny", "mm1.5-3b")


def identities(name: str, scale: str) -> dict[str, str]:
    """Return, for each kind of stage, how many there are and the hash of their ids in order."""
    study = load_study(name)
    stages = Planner(study, scale, selections=CHOSEN if required_studies(study) else None).plan().stages.values()
    by_kind: dict[str, list[str]] = {}
    for stage in stages:
        by_kind.setdefault(stage.kind, []).append(stage.stage_id)
    return {kind: f"{len(ids)} {hashlib.sha256(' '.join(sorted(ids)).encode()).hexdigest()[:16]}" for kind, ids in sorted(by_kind.items())}


def current() -> dict[str, dict[str, dict[str, str]]]:
    return {name: {scale: identities(name, scale) for scale in SCALES} for name in library.names("study")}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", library.names("study"))
def test_stages_keep_their_recorded_identities(name: str, scale: str) -> None:
    assert identities(name, scale) == json.loads(RECORDED.read_text(encoding="utf-8"))[name][scale]


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(current(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
