"""Explain why stages are new. A stage of the ledger is compared with those entered before it, a planned one with all.

The values of a stage of the ledger are read from the study as it was submitted. Its files are named if the library
still holds them, and lines are given if they still contain the same value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, TypeVar

from orchestrator.errors import StudyError
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.stage_specs import StageUser, first_users, known_stages, named_stage
from orchestrator.plan.novelty import Comparison, Difference, Find, KnownStage, explain, sentence
from orchestrator.plan.origins import Origin, Origins
from orchestrator.plan.plan import Plan
from orchestrator.study import library
from orchestrator.study.documents import Document, Recipe, Scale, load_scale, read, recipe_named
from orchestrator.study.strict_yaml import ParsedYaml
from orchestrator.study.study import Study

D = TypeVar("D", bound=Document)
Files = Mapping[tuple[str, str], ParsedYaml]
"""Kind and name of a document -> its file as it is now, for documents that may be in no library."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why one stage is new."""

    stage_id: str
    label: str
    nearest_id: str | None
    """The stage that it differs least from; None if there is none of its kind."""
    differences: tuple[Difference, ...]
    sentence: str


def explain_stage(engine: Engine, text: str, *, catalogue: str = "the catalogue") -> Explanation:
    """Explain a stage of the ledger by comparison with the stages that were entered before it.

    Args:
        engine: the ledger.
        text: the label of the stage, or the first digits of its id.
        catalogue: the file of the operator's catalogue.

    Raises:
        StudyError: no stage fits, or several do.
    """
    stage_id, stages = named_stage(engine, text), known_stages(engine)
    found = Comparison(stages)
    before = [each.stage_id for each in takewhile(lambda each: each.stage_id != stage_id, stages)]
    nearest = found.nearest(stage_id, reversed(before))
    users = first_users(engine, [each for each in (stage_id, nearest) if each])
    mine, other = (_places(users.get(each), {}) for each in (stage_id, nearest or ""))
    return _explained(found, stage_id, nearest, (mine, other), users, catalogue)


def explain_plan(plan: Plan, engine: Engine | None, *, scale: str, catalogue: str = "the catalogue") -> list[Explanation]:
    """Explain the stages of a plan that the ledger does not hold, each by comparison with the most similar one there.

    A stage whose checkpoint is new itself follows from that checkpoint's stage and is left out.

    Args:
        plan: of a study.
        engine: the ledger; None without one.
        scale: the scale that the plan was made for, by name or file.
        catalogue: the file of the operator's catalogue.
    """
    stages = known_stages(engine) if engine else []
    known = dict.fromkeys(each.stage_id for each in reversed(stages))
    new = {each for each, stage in plan.stages.items() if each not in known and stage.kind != "import"}
    mine = [KnownStage(stage_id=each.stage_id, kind=each.kind, label=each.label, spec=each.spec, parent_id=each.parent_id,
                       data=plan.spec.get("data", {})) for each in plan.stages.values() if each.stage_id not in known]
    found, scale_file = Comparison([*stages, *mine]), load_scale(scale)
    nearest = {each: found.nearest(each, known) for each in plan.stages
               if each in new and plan.stages[each].parent_id not in new}
    users = first_users(engine, filter(None, nearest.values())) if engine else {}
    levels, files = _levels(plan), _files(plan.study, scale_file)
    return [_explained(found, each, other, (_planned_places(plan, scale_file, levels[each]), _places(users.get(other or ""), files)),
                       users, catalogue) for each, other in nearest.items()]


def _explained(found: Comparison, stage_id: str, nearest: str | None, places: tuple[Find, Find], users: Mapping[str, StageUser],
               catalogue: str) -> Explanation:
    stage = found.stages[stage_id]
    if nearest is None:
        return Explanation(stage_id=stage_id, label=stage.label, nearest_id=None, differences=(),
                           sentence=f"{stage.label} is new: it is the first {stage.kind} stage in the ledger.")
    user = users.get(nearest)
    differences = explain(found, stage_id, nearest, *places, catalogue=catalogue)
    name = found.stages[nearest].label + (f" of {user.study}@{user.version} ({user.scale})" if user else "")
    return Explanation(stage_id=stage_id, label=stage.label, nearest_id=nearest, differences=tuple(differences),
                       sentence=sentence(stage.label, differences, name))


def _files(study: Study, scale: Scale) -> Files:
    recipe = recipe_named(study.recipe, study.document, ("recipe",))
    return {("study", study.name): study.document, ("scale", scale.name): scale.document, ("recipe", recipe.name): recipe.document}


def _levels(plan: Plan) -> dict[str, Mapping[str, Any]]:
    """Return the levels of the first arm that asks for each stage."""
    arms = {arm.key: arm.levels for arm in plan.arms}
    return {stage_id: arms[trial.arm_key] for trial in reversed(plan.trials) for stage_id in trial.stage_ids}


def _planned_places(plan: Plan, scale: Scale, levels: Mapping[str, Any]) -> Find:
    recipe = recipe_named(levels.get("recipe", plan.study.recipe), plan.study.document, ("recipe",))
    return Origins(plan.study, scale, recipe, levels, selections=plan.spec.get("selections")).of


def _places(user: StageUser | None, files: Files) -> Find:
    """Return the places of a submitted study's values; none if this release cannot read the study any more."""
    if user is None:
        return _nowhere
    try:
        study, scale = (_document(Study, "study", user.spec["study"], files),
                        _document(Scale, "scale", user.spec["scale"], files))
        name = user.levels.get("recipe", study.recipe)
        recipes = user.spec["recipes"]
        recipe = _document(Recipe, "recipe", recipes.get(name) or next(iter(recipes.values())), files)
        return Origins(study, scale, recipe, user.levels, selections=user.spec.get("selections")).of
    except (StudyError, KeyError, StopIteration):
        return _nowhere


def _nowhere(_path: str) -> Sequence[Origin]:
    return ()


def _document(cls: type[D], kind: str, values: dict[str, Any], files: Files) -> D:
    """Return a document as the ledger holds it, with the path of its file, and its lines if it still says the same."""
    name = values["name"]
    file = files.get((kind, name)) or (library.find(kind, name) if name in library.names(kind) else None)
    if file is None:
        return read(cls, ParsedYaml(f"{kind} {name}", values, {}))
    return read(cls, ParsedYaml(file.path, values, file.lines if file.values == values else {}))
