"""The public benchmarks of the deck (MM1.5, arXiv:2409.20566), and VL-ICL for in-context learning. Torch-free.

- Their data come from local copies, read by `model.evaluation.local_copies`; `layout` says what a copy contains.
- Prompts are those of lmms-eval, because the paper's are not published. Sizes are given where they were read in a
  source.
"""

from __future__ import annotations

from typing import Any

from model.config.benchmark import JUDGES, Benchmark, Category

WORD = "{question}\nAnswer the question using a single word or phrase."
LETTER = "{question}\n{options}\nAnswer with the option's letter from the given choices directly."
BARE = "{question}"
BOX = "Give the box of {question}."

BLINK_TASKS = ("Art_Style", "Counting", "Forensic_Detection", "Functional_Correspondence", "IQ_Test", "Jigsaw", "Multi-view_Reasoning",
               "Object_Localization", "Relative_Depth", "Relative_Reflectance", "Semantic_Correspondence", "Spatial_Relation",
               "Visual_Correspondence", "Visual_Similarity")
MVBENCH_TASKS = (
    "action_antonym", "action_count", "action_localization", "action_prediction", "action_sequence", "character_order",
    "counterfactual_inference", "egocentric_navigation", "episodic_reasoning", "fine_grained_action", "fine_grained_pose",
    "moving_attribute", "moving_count", "moving_direction", "object_existence", "object_interaction", "object_shuffle", "scene_transition",
    "state_change", "unexpected_action")
OUTSIDE_AVERAGES = frozenset({"ferret-bench", "muirbench"})
"""Marked with a dagger in the deck. That they are outside the ablation averages is probable, not verified."""
BOXES = ("iou_threshold", "box_scale")
REFCOCO: dict[str, Any] = {
    "metric": "refcoco",
    "prompt": BOX,
    "choices": (*BOXES, "refcoco_average"),
    "group": "split",
    "average": "refcoco_average",
    "layout": "files named by split; image, bbox [x, y, width, height] in px, answer (list of expressions)",
}


def _benchmark(name: str, category: Category, title: str, **fields: Any) -> Benchmark:
    return Benchmark(**{"name": name, "category": category, "title": title, "num_items": 0, "source": "catalogue", "max_new_tokens": 64,
                        "in_average": name not in OUTSIDE_AVERAGES, **fields})


GENERAL = (
    _benchmark("mme", "general", "MME", metric="mme", prompt=WORD, choices=("mme_normaliser",), total="mme", group="task",
               layout="image, question, answer (Yes, No), question_id (the image), category (the sub-task)"),
    _benchmark("seed-img", "general", "SEED-IMG", metric="choice", prompt=LETTER, choices=("mcq_extraction",),
               layout="image, question, choice_a to choice_d, answer, question_id, data_type (rows of videos are left out)"),
    _benchmark("pope", "general", "POPE", metric="yes_no", prompt=WORD, choices=("pope_score",), total="pope", group="subset",
               groups=("random", "popular", "adversarial"), layout="image, question, answer, category (or the subset in the file's name)"),
    _benchmark("llava-bench-wild", "general", "LLaVA-Bench (Wild)", metric="judge_pair", prompt=BARE, choices=JUDGES, total="relative",
               group="category", max_new_tokens=1024,
               layout="image, question, caption (list), gpt_answer, category, question_id; judge/rule.json (category -> role, prompt)"),
    _benchmark("mm-vet", "general", "MM-Vet", metric="judge_grade", prompt=BARE, choices=JUDGES, max_new_tokens=1024,
               layout="image, question, answer (<AND>, <OR>), capability, question_id; judge/prompt.txt (the few-shot table)"),
    _benchmark("realworldqa", "general", "RealWorldQA", version=2, metric="realworldqa", prompt=BARE, choices=("mcq_extraction",),
               layout="image, question (with its options), answer (a letter or a text)"),
)

TEXT_RICH = (
    _benchmark("wtq", "text_rich", "WTQ", version=2, metric="denotation", choices=("wtq_rule",),
               prompt="{question}\nAnswer with a single word or phrase; separate several answers by |.",
               layout="image (the rendered table), question, answer (list, or text between bars)"),
    _benchmark("tabfact", "text_rich", "TabFact", metric="tabfact", choices=("tabfact_rule",),
               prompt="{question}\nIs the statement true or false? Answer True or False.",
               layout="image (the rendered table), question (the statement), answer (1, 0)"),
    _benchmark("ocrbench", "text_rich", "OCRBench", metric="contains", prompt=BARE, num_items=1000, max_new_tokens=128,
               layout="image, question, answer (list), dataset, question_type"),
    _benchmark("chartqa", "text_rich", "ChartQA", metric="relaxed", group="half",
               prompt="{question}\nAnswer the question with a single word.",
               groups=("human", "augmented"), layout="image, question, answer, type (human_test, augmented_test)"),
    _benchmark("textvqa", "text_rich", "TextVQA", metric="vqa", prompt=WORD, choices=("textvqa_form",),
               layout="image, question, answers (ten), question_id"),
    _benchmark("docvqa", "text_rich", "DocVQA", version=2, metric="anls", prompt=WORD, choices=("anls_form",),
               layout="image, question, answers, questionId"),
    _benchmark("infovqa", "text_rich", "InfoVQA", version=2, metric="anls", prompt=WORD, choices=("anls_form",),
               layout="image, question, answers, questionId"),
)

KNOWLEDGE = (
    _benchmark("ai2d", "knowledge", "AI2D", metric="choice_ai2d", prompt=LETTER, choices=("mcq_extraction",),
               layout="image, question, options, answer (letter or index)"),
    _benchmark("scienceqa-img", "knowledge", "ScienceQA-IMG", metric="choice_scienceqa", prompt="{hint}" + LETTER,
               choices=("mcq_extraction",), layout="image (rows without one are left out), question, choices, hint, answer (index)"),
    _benchmark("mathvista", "knowledge", "MathVista", metric="judge_extract", prompt=BARE, choices=JUDGES, num_items=1000,
               max_new_tokens=1024, layout="decoded_image, query, question, choices, question_type, answer_type, precision, answer, pid; "
                                           "judge/prompt.txt (demonstrations)"),
    _benchmark("mmmu", "knowledge", "MMMU", metric="mmmu", prompt=LETTER, choices=("mcq_extraction", "mmmu_average"), num_items=900,
               group="subject", average="mmmu_average", layout="image_1 to image_7, question, options, question_type, answer, id"),
)

REFER_GROUND = (
    _benchmark("flickr30k", "refer_ground", "Flickr30k", metric="phrase", prompt=BOX, choices=(*BOXES, "flickr_protocol"),
               layout="image, sentence, phrases (list of {phrase, boxes: corners in px})"),
    _benchmark("lvis-ferret", "refer_ground", "LVIS-Ferret", metric="lvis", prompt=BARE, group="prompt",
               layout="image, question (names the region in thousandths), name, synonyms, prompt (box, point)"),
    _benchmark("refcoco", "refer_ground", "RefCOCO", groups=("val", "testA", "testB"), **REFCOCO),
    _benchmark("refcoco-plus", "refer_ground", "RefCOCO+", groups=("val", "testA", "testB"), **REFCOCO),
    _benchmark("refcocog", "refer_ground", "RefCOCOg", groups=("val", "test"), **REFCOCO),
    _benchmark("ferret-bench", "refer_ground", "Ferret-Bench", metric="judge_pair", prompt=BARE, choices=JUDGES, total="relative",
               group="category", groups=("refer_desc", "refer_reason", "ground_conv"), max_new_tokens=1024,
               layout="image, question, context, gpt_answer, category, question_id; judge/rule.json (category -> role, prompt)"),
)

MULTI_IMAGE = (
    _benchmark("qbench2", "multi_image", "QBench2", metric="choice_qbench2", prompt=LETTER, choices=("mcq_extraction",),
               layout="image1, image2, question, option0 to option3 (N/A where there is none), correct_choice, id"),
    _benchmark("mantis", "multi_image", "Mantis", version=2, metric="mantis", prompt=BARE, choices=("mcq_extraction",), places_images=True,
               layout="images, question, options, question_type, answer, id"),
    _benchmark("nlvr2", "multi_image", "NLVR2", version=2, metric="choice_nlvr2",
               prompt="{question}\nIs this true?\n{options}\nAnswer with the option's letter.",
               choices=("mcq_extraction",), total="nlvr2", layout="left_image, right_image, sentence, label (True, False), identifier"),
    _benchmark("blink", "multi_image", "BLINK", metric="choice_blink", prompt=BARE, choices=("mcq_extraction", "blink_average"),
               group="task", groups=BLINK_TASKS, average="blink_average",
               layout="image_1 to image_4, prompt, choices, answer, idx, sub_task"),
    _benchmark("mvbench", "multi_image", "MVBench", metric="choice_mvbench", prompt="{question}\n{options}\nOnly give the best option.",
               choices=("mcq_extraction", "mvbench_average"), group="task", groups=MVBENCH_TASKS, average="mvbench_average",
               layout="frames (pictures cut from the video beforehand), question, candidates, answer, task (or the file's name)"),
    _benchmark("muirbench", "multi_image", "MuirBench", metric="choice_mmmu", prompt=LETTER, choices=("mcq_extraction",),
               places_images=True,
               layout="image_list, question (with <image>), options, answer, idx"),
)

TEXT_ONLY = (
    _benchmark("held-out-text", "text_only", "Held-out text", metric="likelihood", total="bits",
               layout="text (a document no model was trained on)"),
)

SHOTS = (0, 4, 8)
_VL_ICL = {
    "open-mi": "open MiniImageNet",
    "matching-mi": "matching MiniImageNet",
    "clevr-count": "CLEVR count",
    "operator-induction": "operator induction",
    "operator-induction-interleaved": "interleaved operator induction",
    "textocr": "TextOCR",
}
VL_ICL = tuple(
    _benchmark(f"{name}-{shots}shot", "in_context", f"VL-ICL {title}, {shots} shots", metric="exact", shots=shots, max_new_tokens=16,
               layout="query* and support*: image (one or several), question, answer; a query may name its own rows of support")
    for name, title in _VL_ICL.items() for shots in SHOTS)

DECK: tuple[Benchmark, ...] = (*GENERAL, *TEXT_RICH, *KNOWLEDGE, *REFER_GROUND, *MULTI_IMAGE)
PUBLIC: tuple[Benchmark, ...] = (*DECK, *TEXT_ONLY, *VL_ICL)

PUBLIC_SUITES: dict[str, tuple[str, ...]] = {
    "mm15": tuple(each.name for each in DECK),
    "vl-icl": tuple(each.name for each in VL_ICL),
}
