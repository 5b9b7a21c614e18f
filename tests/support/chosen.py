"""What earlier studies of a campaign may have chosen: the last arm of each, so that every study can be planned."""

from typing import Any

from orchestrator.plan.arms import designed_arms
from orchestrator.plan.layers import required_studies
from orchestrator.study import library
from orchestrator.study.study import load_study

CHOSEN: dict[str, dict[str, Any]] = {
    name: dict(designed_arms(load_study(name))[-1].levels)
    for name in sorted({needed for study in library.names("study") for needed in required_studies(load_study(study))})}
"""Study -> dotted path -> value."""
