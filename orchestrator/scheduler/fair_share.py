"""Share the slots of a cluster between studies: choose whose stage goes next. Pure functions.

- The study with the highest priority goes first; among equals the one with the fewest slots in use, then the oldest.
- A study never holds more slots than its cap. If its next stage would exceed the cap, but another study needs the stage
  too, the slots can count for that study instead.
- Within a study the stage goes first that most unfinished trials of all studies need, then plan order
  (`index.place_of`).
- The next stage waits until it has all its slots, and no stage overtakes it; otherwise single-slot stages could keep a
  stage with several workers waiting for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from orchestrator.scheduler.views import StageView, StudyView

Queues = Mapping[str, Iterator[StageView]]


def assign_slots(ready: Callable[[], Iterator[StageView]], wanters: Callable[[str], Iterable[str]],
                 studies: Mapping[str, StudyView], in_use: Mapping[str, int], *,
                 num_free: int) -> list[tuple[StageView, str]]:
    """Return the stages to assign now, each with the study that its slots count for.

    Args:
        ready: starts an iterator over the stages that could be assigned, in their order within a study. Each study has
            an iterator of its own, which is not consumed further than slots are assigned.
        wanters: returns the live studies that need the stage with this id.
        studies: the live studies (queued or running), by id.
        in_use: study id -> the number of slots that its attempts hold.
        num_free: the number of free slots.
    """
    asked = cache(wanters)  # computed only for the stages that are reached, not for all that are ready
    queues = {study_id: _wanted_by(study_id, ready(), asked) for study_id in studies}
    return list(_handed_out(queues, studies, dict(in_use), num_free))


def _wanted_by(study_id: str, ready: Iterator[StageView],
               wanters: Callable[[str], Iterable[str]]) -> Iterator[StageView]:
    return (stage for stage in ready if study_id in wanters(stage.stage_id))


def _handed_out(queues: Queues, studies: Mapping[str, StudyView], in_use: dict[str, int],
                num_free: int) -> Iterator[tuple[StageView, str]]:
    taken: set[str] = set()
    heads = {study_id: next(queue, None) for study_id, queue in queues.items()}
    waiting = {study_id: stage for study_id, stage in heads.items() if stage is not None}
    while waiting:
        study_id = min(waiting, key=lambda each: _rank(studies[each], in_use.get(each, 0)))
        stage = waiting[study_id]
        if stage.stage_id not in taken:
            if _is_capped(studies[study_id], in_use.get(study_id, 0) + stage.workers):
                del waiting[study_id]
                continue
            if stage.workers > num_free:
                return
            yield stage, study_id
            taken.add(stage.stage_id)
            num_free -= stage.workers
            in_use[study_id] = in_use.get(study_id, 0) + stage.workers
        following = next(queues[study_id], None)
        if following is None:
            del waiting[study_id]
        else:
            waiting[study_id] = following


def _rank(study: StudyView, in_use: int) -> tuple[int, int, float, str]:
    return -study.priority, in_use, study.created_at, study.study_id


def _is_capped(study: StudyView, slots: int) -> bool:
    return bool(study.max_slots) and slots > study.max_slots
