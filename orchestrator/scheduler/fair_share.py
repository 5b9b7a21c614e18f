"""Whose stage goes next, when several studies want the slots of one cluster. Pure.

- Priority first; among equals the study that has the fewest slots in use, then the older one.
- A study with a cap never holds more slots than that; a stage that an uncapped study wants too may go by that one's share.
- Within a study: the stage that most trials wait for, of all studies, then the order of the plan (`snapshot_index.place_of`).
- The next stage waits for its slots rather than being overtaken, or one that needs several would wait for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from orchestrator.scheduler.views import StageView, StudyView

Queues = Mapping[str, Iterator[StageView]]


def assign_slots(ready: Callable[[], Iterator[StageView]], wanters: Callable[[str], Iterable[str]], studies: Mapping[str, StudyView],
               in_use: Mapping[str, int], *, num_free: int) -> list[tuple[StageView, str]]:
    """Return the stages to hand out now, each with the study on whose share it goes.

    Args:
        ready: begins to go through the stages that could be handed out, in the order in which they go within a study. No more of
            them are looked at than are handed out.
        wanters: of a stage id, the live studies that want it.
        studies: those that run or are queued, by id.
        in_use: study id -> slots that its attempts hold.
        num_free: free slots.
    """
    asked = cache(wanters)  # of the stages that a turn comes to, not of all that are ready
    queues = {study_id: _wanted_by(study_id, ready(), asked) for study_id in studies}
    return list(_handed_out(queues, studies, dict(in_use), num_free))


def _wanted_by(study_id: str, ready: Iterator[StageView], wanters: Callable[[str], Iterable[str]]) -> Iterator[StageView]:
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
