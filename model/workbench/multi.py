"""Several images: pairs to compare, a change to spot, frames of a film, and documents that show a task by examples.

- Each question needs all images or their order; the answer to a question about order changes if they are swapped.
- Held out: the shape-colour pairs of the scenes, and the wording of the questions.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFilter

from model.samples import IMAGE, Item, Sample, Turn
from model.seeds import stream
from model.workbench.build import LETTERS, ask_item, choice, dense
from model.workbench.scenes import COLOURS, HELD_OUT, SHAPES, Scene, Thing, draw_scene, draw_shape

ORDINALS = ("first", "second", "third")
MOVES = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
FRAMES = 3
"""Images of a film. Samples with three or more images are never split into tiles."""
FORMS: dict[str, dict[str, tuple[str, ...]]] = {
    "train": {"same": ("Are the shapes the same?", "Do both images show the same shape?"),
              "colours": ("Are the colours the same?", "Do both images show the same colour?"),
              "which": ("Which image shows the {}?", "What image has the {}?"),
              "both": ("Both images show a {}. True or false?", "True or false? Both images show one {}."),
              "spot": ("Which shape changed its colour?", "What shape has another colour?"),
              "move": ("Where does the {} move?", "Where is the {} going?")},
    "test": {"same": ("Do both show the same shape?",), "colours": ("Do both show the same colour?",),
             "which": ("Which image has the {}?",), "both": ("Both images show one {}. True or false?",),
             "spot": ("Which shape has another colour now?",), "move": ("Where is the {} moving?",)},
}


def _darken(image: Image.Image) -> Image.Image:
    return image.point([value // 2 for value in range(256)] * 3)


def _blur(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(max(image.size) / 30))


QUALITIES = ((("darker", "brighter"), _darken), (("less sharp", "sharper"), _blur))
"""Words for less and more of a quality, and the function that reduces it."""


@dataclass(frozen=True, slots=True)
class Film:
    """Frames in order, the moving shape, and its direction."""

    frames: tuple[Image.Image, ...]
    shape: str
    move: str


def draw_pair(rng: random.Random, split: str) -> tuple[Scene, Scene]:
    """Draw two scenes of one object each; in about 40 % of the pairs the shapes are the same."""
    first, second = (draw_scene(rng, split, counts=(1,)) for _ in range(2))
    is_repeated = rng.random() < 0.35
    while is_repeated and second.things[0].shape != first.things[0].shape:
        second = draw_scene(rng, split, counts=(1,))
    return first, second


def pair_turns(pair: tuple[Scene, Scene], split: str, rng: random.Random) -> list[Turn]:
    """Ask whether shapes and colours are the same and which image shows a shape, and state something about both."""
    one, other = (scene.things[0] for scene in pair)
    forms, is_same = FORMS[split], one.shape == other.shape
    turns = [
        Turn(rng.choice(forms["same"]), _yes(is_same)),
        Turn(rng.choice(forms["colours"]), _yes(one.colour == other.colour)),
        Turn(rng.choice(forms["both"]).format(one.shape), "true" if is_same else "false"),
    ]
    if not is_same:
        wanted = rng.randrange(2)
        turns.append(Turn(rng.choice(forms["which"]).format((one, other)[wanted].shape), ORDINALS[wanted]))
    rng.shuffle(turns)
    return turns


def draw_change(rng: random.Random, split: str) -> tuple[tuple[Image.Image, Image.Image], tuple[Thing, ...], str]:
    """Draw a scene of two objects twice; in the second image one of them has another colour.

    Returns:
        The images, the objects, and the shape of the changed one.
    """
    scene = draw_scene(rng, split, counts=(2,))
    while len(scene.things) < 2:
        scene = draw_scene(rng, split, counts=(2,))
    changed = rng.choice(scene.things)
    taken = {thing.colour for thing in scene.things}
    colour = rng.choice([name for name in COLOURS if name not in taken and (changed.shape, name) not in HELD_OUT])
    after = scene.image.copy()
    draw_shape(ImageDraw.Draw(after), changed.shape, COLOURS[colour], changed.box, scene.image.getpixel((0, 0)))  # type: ignore[arg-type]
    return (scene.image, after), scene.things, changed.shape


def draw_film(rng: random.Random, split: str) -> Film:
    """Draw frames of one object that moves in one of four directions, about a quarter of the frame at a time."""
    pairs = [
        (shape, colour) for shape in SHAPES for colour in COLOURS if ((shape, colour) in HELD_OUT) == (split == "test")
    ]
    (shape, colour), move = rng.choice(pairs), rng.choice(list(MOVES))
    side, ground = 56, tuple(rng.randint(225, 255) for _ in range(3))
    size, step, (dx, dy) = rng.uniform(16, 22), rng.uniform(11, 15), MOVES[move]
    across = rng.uniform(2, side - size - 2)
    frames = []
    for place in range(FRAMES):
        along = (side - size) / 2 + step * (place - (FRAMES - 1) / 2) * (dx + dy)
        x, y = (along, across) if dx else (across, along)
        image = Image.new("RGB", (side, side), ground)
        draw_shape(ImageDraw.Draw(image), shape, COLOURS[colour], (x, y, x + size, y + size), ground)
        frames.append(image)
    return Film(tuple(frames), shape, move)


def comparison_sample(sample_id: str, category: str, split: str, rng: random.Random) -> Sample:
    """Make a conversation about a pair, a change, three images or a film."""
    kind = rng.choice(("pair", "pair", "which", "spot", "film"))
    if kind == "pair":
        pair = draw_pair(rng, split)
        return dense(sample_id, category, [scene.image for scene in pair], pair_turns(pair, split, rng))
    if kind == "which":
        scenes = draw_three(rng, split)
        turns = [Turn(rng.choice(FORMS[split]["which"]).format(scene.things[0].shape), ORDINALS[place])
                 for place, scene in enumerate(scenes)]
        turns.append(which_choice(rng, split, scenes)[0])
        rng.shuffle(turns)
        return dense(sample_id, category, [scene.image for scene in scenes], turns)
    if kind == "spot":
        images, things, shape = draw_change(rng, split)
        spot = Turn(rng.choice(FORMS[split]["spot"]), shape)
        return dense(sample_id, category, images, [spot, _spot_choice(rng, split, things, shape)[0]])
    film = draw_film(rng, split)
    question = rng.choice(FORMS[split]["move"]).format(film.shape)
    turns = [Turn(question, film.move), move_choice(rng, question, film)[0]]
    rng.shuffle(turns)
    return dense(sample_id, category, film.frames, turns)


def draw_three(rng: random.Random, split: str) -> list[Scene]:
    """Draw three scenes of one object each, all with different shapes."""
    while True:
        scenes = [draw_scene(rng, split, counts=(1,), sides=(48, 64)) for _ in ORDINALS]
        if len({scene.things[0].shape for scene in scenes}) == len(scenes):
            return scenes


def which_choice(rng: random.Random, split: str, scenes: list[Scene]) -> tuple[Turn, tuple[str, ...]]:
    """Ask which of three images shows a shape, with the ordinals as options."""
    wanted = rng.randrange(len(scenes))
    return choice(rng, rng.choice(FORMS[split]["which"]).format(scenes[wanted].things[0].shape), ORDINALS[wanted],
                  [name for name in ORDINALS if name != ORDINALS[wanted]])


def move_choice(rng: random.Random, question: str, film: Film) -> tuple[Turn, tuple[str, ...]]:
    """Ask where the object moves, with the four directions as options."""
    return choice(rng, question, film.move, [move for move in MOVES if move != film.move])


def _spot_choice(rng: random.Random, split: str, things: tuple[Thing, ...], shape: str) -> tuple[Turn, tuple[str, ...]]:
    """Ask which shape changed, with the other object and two absent shapes as options."""
    shown = {thing.shape for thing in things}
    absent = rng.sample([each for each in SHAPES if each not in shown], 2)
    return choice(rng, rng.choice(FORMS[split]["spot"]), shape, [*(shown - {shape}), *absent])


def shown_sample(sample_id: str, category: str, split: str, rng: random.Random) -> Sample:
    """Make a document that shows a task by examples: each image is followed by its shape, or each by its colour."""
    wanted = rng.choice(("shape", "colour"))
    scenes = [draw_scene(rng, split, counts=(1,), sides=(48, 64)) for _ in range(rng.randint(3, 5))]
    turns = tuple(Turn(IMAGE, getattr(scene.things[0], wanted)) for scene in scenes)
    return Sample(sample_id=sample_id, category=category, images=tuple(scene.image for scene in scenes), turns=turns)


def multi_image_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a conversation about two or three images."""
    return comparison_sample(
        f"multi_image/{split}/{seed}/{index}", "multi_image", split, stream("multi_image", seed, split, index)
    )


def same_or_not_item(index: int, *, seed: int) -> Item:
    """Ask whether a statement is true of both images, with the options True and False, as NLVR2 does."""
    rng = stream("same-or-not", seed, "test", index)
    pair = draw_pair(rng, "test")
    turn = next(turn for turn in pair_turns(pair, "test", rng) if turn.answer in ("true", "false"))
    answer = Turn(turn.question, "A" if turn.answer == "true" else "B")
    return ask_item("same-or-not", index, seed, [scene.image for scene in pair], answer, options=("True", "False"))


def which_image_item(index: int, *, seed: int) -> Item:
    """Ask which of three images shows a shape; every other item has options."""
    rng = stream("which-image", seed, "test", index)
    scenes = draw_three(rng, "test")
    images, place = [scene.image for scene in scenes], rng.randrange(len(scenes))
    if index % 2:
        turn, options = which_choice(rng, "test", scenes)
        return ask_item("which-image", index, seed, images, turn, options=options)
    return ask_item("which-image", index, seed, images,
                    Turn(FORMS["test"]["which"][0].format(scenes[place].things[0].shape), ORDINALS[place]))


def spot_difference_item(index: int, *, seed: int) -> Item:
    """Ask, without options, which shape has another colour in the second image.

    Small models answer the same letter to all questions with options.
    """
    images, _, shape = draw_change(stream("spot-difference", seed, "test", index), "test")
    return ask_item("spot-difference", index, seed, images, Turn(FORMS["test"]["spot"][0], shape))


def film_moves_item(index: int, *, seed: int) -> Item:
    """Ask, without options, where the object of a film moves, which only the order of the frames shows."""
    film = draw_film(stream("film-moves", seed, "test", index), "test")
    return ask_item(
        "film-moves", index, seed, film.frames, Turn(FORMS["test"]["move"][0].format(film.shape), film.move)
    )


def spot_choice_item(index: int, *, seed: int) -> Item:
    """Ask which shape has another colour in the second image, with options, as BLINK does."""
    rng = stream("spot-choice", seed, "test", index)
    images, things, shape = draw_change(rng, "test")
    turn, options = _spot_choice(rng, "test", things, shape)
    return ask_item("spot-choice", index, seed, images, turn, options=options)


def film_choice_item(index: int, *, seed: int) -> Item:
    """Ask where the object of a film moves, with options, as MVBench does."""
    rng = stream("film-choice", seed, "test", index)
    film = draw_film(rng, "test")
    turn, options = move_choice(rng, FORMS["test"]["move"][0].format(film.shape), film)
    return ask_item("film-choice", index, seed, film.frames, turn, options=options)


def picture_choice_item(index: int, *, seed: int) -> Item:
    """Ask which picture shows a shape, with the pictures as options, as MuirBench does."""
    rng = stream("picture-choice", seed, "test", index)
    scenes = draw_three(rng, "test")
    wanted = rng.randrange(len(scenes))
    listed = " ".join(f"{letter}. {IMAGE}" for letter, _ in zip(LETTERS, scenes, strict=False))
    question = f"Which picture has the {scenes[wanted].things[0].shape}? {listed} Answer with the letter."
    return Item(
        item_id=f"picture-choice/{seed}/{index}",
        benchmark="picture-choice",
        question=question,
        options=ORDINALS,
        images=tuple(scene.image for scene in scenes),
        references=(LETTERS[wanted],),
    )


def picture_quality_item(index: int, *, seed: int) -> Item:
    """Ask how bright or sharp the second image is compared to the first, with options, as Q-Bench2 does."""
    rng = stream("picture-quality", seed, "test", index)
    image = draw_scene(rng, "test", counts=(2, 3)).image
    (less, more), worsen = QUALITIES[index % len(QUALITIES)]
    which = rng.randrange(3)
    images = ((image, worsen(image)), (worsen(image), image), (image, image.copy()))[which]
    wrong = [less, more, "alike"]
    right = wrong.pop(which)
    turn, options = choice(rng, "Beside the first image, how is the second image?", right, wrong)
    return ask_item("picture-quality", index, seed, images, turn, options=options)


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"
