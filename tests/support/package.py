"""A small package of a user's own, with a metric, a family of benchmarks and a layout, as pip would have installed it."""

from pathlib import Path

CODE = '''
def first_word(prediction, item, *, ignore_case=False):
    said, right = prediction.split()[:1], [each.split()[:1] for each in item.references]
    if ignore_case:
        said, right = [w.lower() for w in said], [[w.lower() for w in each] for each in right]
    return float(said in right) if said else None

first_word.version = 3

def counting(row):
    return [{"question": f"How many {thing}?", "references": [str(number)], "images": ["image"], "meta": {"thing": thing}}
            for thing, number in row["things"].items()]

counting.version = 1

def pairs(record):
    return {"turns": [["<image>" + record["ask"], record["say"]]], "images": [record["file"]]}

pairs.version = 2

def without_version(prediction, item):
    return 1.0

def wrong(prediction, item):
    return 7

wrong.version = 1
'''
ENTRIES = """
[ablate.metrics]
first-word = lab_plugins:first_word
nameless = lab_plugins:without_version
absent = lab_plugins:absent
wrong = lab_plugins:wrong

[ablate.benchmarks]
counting = lab_plugins:counting

[ablate.layouts]
pairs = lab_plugins:pairs
"""


def install(folder: Path, *, name: str = "lab_plugins", code: str = CODE, entries: str = ENTRIES) -> Path:
    """Write the package and its metadata into a folder, which belongs on `sys.path`, and return the folder."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{name}.py").write_text(code)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entries)
    return folder
