"""Whose stage goes next, when several studies want the slots of one cluster. Pure.

- Priority first; among equals the study that has the fewest slots in use, then the older one.
- A study with a cap never holds more slots than that; a stage that an uncapped study wants too may go by that one's share.
- Within a study: the stage that most trials wait for, of all studies, then the order of the plan.
- The next stage waits for its slots rather than being overtaken, or one that needs several would wait for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.snapshot import StageView, StudyView

Queues = dict[str, list[StageView]]


def shared_out(ready: Sequence[StageView], wanters: Mapping[str, frozenset[str]], studies: Mapping[str, StudyView],
               in_use: Mapping[str, int], *, num_wanted: Mapping[str, int], num_free: int) -> list[tuple[StageView, str]]:
    """Return the stages to hand out now, each with the study on whose share it goes.

    Args:
        ready: stages that could be handed out.
        wanters: stage id -> live studies that want it.
        studies: by id.
        in_use: study id -> slots that its attempts hold.
        num_wanted: stage id -> trials that wait for it.
        num_free: free slots.
    """
    ordered = sorted(ready, key=lambda stage: (-num_wanted[stage.stage_id], stage.position, stage.stage_id))
    queues: Queues = {}
    for stage in ordered:
        for study_id in wanters[stage.stage_id]:
            queues.setdefault(study_id, []).append(stage)
    return list(_handed_out(queues, studies, dict(in_use), num_free))


def _handed_out(queues: Queues, studies: Mapping[str, StudyView], in_use: dict[str, int],
                num_free: int) -> Iterator[tuple[StageView, str]]:
    taken: set[str] = set()
    heads = {study_id: iter(queue) for study_id, queue in queues.items()}
    waiting = {study_id: next(queue) for study_id, queue in heads.items()}
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
        following = next(heads[study_id], None)
        if following is None:
            del waiting[study_id]
        else:
            waiting[study_id] = following


def _rank(study: StudyView, in_use: int) -> tuple[int, int, float, str]:
    return -study.priority, in_use, study.created_at, study.study_id


def _is_capped(study: StudyView, slots: int) -> bool:
    return bool(study.max_slots) and slots > study.max_slots
