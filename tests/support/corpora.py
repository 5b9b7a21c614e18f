"""Data sets on disk in every layout and container, made of workbench samples: what sources, catalogues and training are tried on."""

import io
import json
import tarfile

import datasets

from model.config.catalogue import CatalogueConfig, SourceConfig
from model.samples import IMAGE
from model.workbench import make_sample


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def made(category, count):
    return [make_sample(category, "train", index) for index in range(count)]


def messages(sample):
    return [{"from": who, "value": text} for turn in sample.turns
            for who, text in (("human", turn.question.replace(IMAGE, f"{IMAGE}\n")), ("gpt", turn.answer))]


def llava_records(folder, samples):
    """Write the images below `folder`/images and return the records that name them."""
    (folder / "images" / "train").mkdir(parents=True, exist_ok=True)
    records = []
    for number, sample in enumerate(samples):
        names = [f"train/{sample.category}_{number}_{place}.png" for place in range(len(sample.images))]
        for name, image in zip(names, sample.images, strict=True):
            (folder / "images" / name).write_bytes(png(image))
        image = {"image": names[0] if len(names) == 1 else names} if names else {}
        records.append({"id": str(number), "conversations": messages(sample), **image})
    return records


def llava(folder, category, count, *, lines=True):
    """A LLaVA-style file with its folder of images."""
    folder.mkdir(parents=True, exist_ok=True)
    records = llava_records(folder, made(category, count))
    path = folder / f"{category}.{'jsonl' if lines else 'json'}"
    path.write_text("\n".join(map(json.dumps, records)) if lines else json.dumps(records, indent=1), encoding="utf-8")
    return SourceConfig(category=category, name=f"{category}-llava", layout="llava", files=(str(path),), images=str(folder / "images"))


def cauldron(folder, category, count, *, files=2):
    """Parquet files with the columns of the_cauldron."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"images": [{"bytes": png(image), "path": None} for image in sample.images],
             "texts": [{"user": turn.question.replace(IMAGE, ""), "assistant": turn.answer, "source": "made"} for turn in sample.turns]}
            for sample in made(category, count)]
    features = datasets.Features({"images": datasets.List(datasets.Image()), "texts": datasets.List(
        {"user": datasets.Value("string"), "assistant": datasets.Value("string"), "source": datasets.Value("string")})})
    for number in range(files):
        part = rows[number * count // files : (number + 1) * count // files]
        datasets.Dataset.from_list(part, features=features).to_parquet(folder / f"{category}-{number:05d}.parquet")
    return SourceConfig(category=category, name=f"{category}-cauldron", layout="cauldron", files=(str(folder / f"{category}-*.parquet"),))


def shard(path, members):
    """A tar of (name, bytes)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def webdataset(folder, category, count, *, shards=2):
    """WebDataset shards: one image and one JSON with its conversation a sample."""
    samples = made(category, count)
    for number in range(shards):
        members = []
        for index in range(number * count // shards, (number + 1) * count // shards):
            members += [(f"{index:06d}.png", png(samples[index].images[0])),
                        (f"{index:06d}.json", json.dumps({"conversations": messages(samples[index])}).encode())]
        shard(folder / f"{category}-{number:04d}.tar", members)
    return SourceConfig(category=category, name=f"{category}-tar", layout="llava", files=(str(folder / f"{category}-*.tar"),))


def documents(folder, count):
    """Interleaved documents: image and text by turns."""
    records = []
    samples = [each for each in made("interleaved", 8 * count) if all(turn.question == IMAGE for turn in each.turns)][:count]
    for sample, record in zip(samples, llava_records(folder, samples), strict=True):
        names = record["image"]
        records.append({"images": [each for name in names for each in (name, None)],
                        "texts": [each for turn in sample.turns for each in (None, turn.answer)]})
    (folder / "documents.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return SourceConfig(category="interleaved", name="documents", layout="interleaved", files=(str(folder / "documents.jsonl"),),
                        images=str(folder / "images"))


def instructions(folder, count, *, category="text_only", name="sums"):
    """A text-only instruction set."""
    folder.mkdir(parents=True, exist_ok=True)
    records = [{"instruction": turn.question, "input": "", "output": turn.answer} for sample in made("math", count) for turn in
               [type(sample.turns[0])(sample.turns[0].question.replace(IMAGE, "") or "Say it.", sample.turns[0].answer)]]
    (folder / f"{name}.json").write_text(json.dumps(records), encoding="utf-8")
    return SourceConfig(category=category, name=name, layout="text", files=(str(folder / f"{name}.json"),))


def catalogue(folder, *sources):
    return CatalogueConfig(name="made", sources=tuple(sources), cache=str(folder / "cache"))
