"""Where public copies of the taxonomy's data sets are: a starting point for a catalogue, not a promise. Torch-free.

- `CONFIRMED` copies have as many samples as MM1.5 (arXiv:2409.20566) states for the set; all others match by name only.
- Licences differ from set to set and are not recorded here: read each one before you train on it.
"""

from __future__ import annotations

_CAULDRON = "HuggingFaceM4/the_cauldron"
_MANTIS = "TIGER-Lab/Mantis-Instruct"
_LLAVA = "liuhaotian/LLaVA-Instruct-150K"
_DOC = "mPLUG/DocDownstream-1.0"

CONFIRMED: dict[tuple[str, str], str] = {
    **{("text_rich", name): f"{_CAULDRON}, {subset}" for name, subset in {
        "DVQA": "dvqa", "WikiSQL": "robut_wikisql", "WikiTQ": "robut_wtq", "Chart2Text": "chart2text", "TabMWP": "tabmwp",
        "TextCaps": "textcaps", "ST-VQA": "st_vqa", "VisText": "vistext", "RenderedText": "rendered_text", "FinQA": "finqa",
        "HiTab": "hitab", "TAT-QA": "tat_qa"}.items()},
    **{("math", name): f"{_CAULDRON}, {subset}" for name, subset in {
        "CLEVR": "clevr", "RAVEN": "raven", "IconQA": "iconqa", "GeomVerse": "geomverse", "Inter-GPS": "intergps"}.items()},
    ("science", "ScienceQA"): f"{_CAULDRON}, scienceqa",
    ("code", "DaTikZ"): f"{_CAULDRON}, datikz", ("code", "WebSight"): f"{_CAULDRON}, websight",
    **{("multi_image", name): f"{_MANTIS}, {subset}" for name, subset in {
        "NLVR2": "nlvr2", "IconQA": "iconqa", "DreamSim": "dreamsim", "Spot-the-diff": "spot-the-diff", "MultiVQA": "multi_vqa",
        "NExT-QA": "nextqa", "Star": "star", "Birds-to-Words": "birds-to-words"}.items()},
}
"""(category, data set) -> a copy whose number of samples agrees with the published one after rounding."""

LIKELY: dict[tuple[str, str], str] = {
    **{("general", name): f"{_LLAVA}, {part}" for name, part in {
        "LLaVA 1.5 conversation": "conversation", "LLaVA v1.5 VQAv2 OKVQA": "part of the mix of 665k",
        "LLaVA v1.5 GQA": "part of the mix of 665k", "LLaVA v1.5 A-OKVQA": "part of the mix of 665k",
        "LLaVA Complex Reasoning": "complex reasoning"}.items()},
    ("general", "Coco Captions"): "yerevann/coco-karpathy", ("general", "ShareGPT-4V"): "Lin-Chen/ShareGPT4V",
    **{("text_rich", name): _DOC for name in (
        "TabFact", "InfoVQA", "WikiTable", "KleisterCharity", "VisualMRC", "DeepForm")},
    ("text_rich", "Synthdog-En"): "naver-clova-ix/synthdog-en", ("text_rich", "DocVQA"): f"{_CAULDRON}, docvqa",
    ("text_rich", "ArxivQA"): "MMInstruction/ArxivQA", ("text_rich", "ScreenQA"): "rootsautomation/RICO-ScreenQA",
    ("text_rich", "OCRVQA"): f"{_LLAVA}, part of the mix of 665k", ("text_rich", "ChartQA"): f"{_CAULDRON}, chartqa",
    ("text_rich", "TextVQA"): f"{_CAULDRON}, textvqa",
    ("science", "AI2D"): f"{_CAULDRON}, ai2d", ("code", "Design2Code"): "SALT-NLP/Design2Code",
    ("multi_image", "Coinstruct"): f"{_MANTIS}, coinstruct",
    **{("text_only", name): place for name, place in {
        "OpenOrca": "Open-Orca/OpenOrca", "MathInstruct": "TIGER-Lab/MathInstruct",
        "OrcaMath": "microsoft/orca-math-word-problems-200k", "OpenCodeInterpreter": "m-a-p/Code-Feedback",
        "Dolly": "databricks/databricks-dolly-15k"}.items()},
    ("ocr", "PDFA"): "pixparse/pdfa-eng-wds", ("ocr", "IDL"): "pixparse/idl-wds",
    ("ocr", "Rendered-text"): "wendlerc/RenderedText", ("ocr", "DocStruct-4M"): "mPLUG/DocStruct4M",
    ("recap", "LLaVA-Recap-3M"): "lmms-lab/LLaVA-ReCap-CC3M", ("sharegpt4v", "ShareGPT4V-PT"): "Lin-Chen/ShareGPT4V",
}
"""(category, data set) -> a copy that matches by name; its size differs or was not compared."""
