"""Code of a user's own that is found by name: metrics, families of benchmarks and layouts of records, from installed packages.

- A package declares an entry point in one of `GROUPS`. What it names is a function with an attribute `version`, a whole number from 1
  that is raised by hand when the function gives another result; name and version are part of a stage's identity.
- `ablate.metrics`: `(prediction, item, **options)` returns a score of 0 to 1, or None where the answer cannot be read; `item` is a
  `model.samples.Item` without its pictures.
- `ablate.benchmarks`: `(row)` takes a row of a local copy, column -> value, and returns a list of items, each a mapping with `question`
  and `references`, and as needed `options`, `images` (columns of pictures), `name` and `meta`.
- `ablate.layouts`: `(record)` returns a mapping with `turns`, a list of [question, answer], and `images`, a list of names or bytes;
  `<image>` in a question is the place of a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from model.config.fields import did_you_mean

METRICS, FAMILIES, LAYOUTS = "ablate.metrics", "ablate.benchmarks", "ablate.layouts"
GROUPS = {METRICS: "metric", FAMILIES: "family of benchmarks", LAYOUTS: "layout"}
"""Group of entry points -> what it brings, in words."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A function of an installed package."""

    name: str
    version: int
    call: Callable[..., Any]


def plugin(group: str, name: str, *, built_in: Iterable[str] = ()) -> Plugin:
    """Return the function that an installed package registers under a name.

    Args:
        group: a key of `GROUPS`.
        name: of the entry point.
        built_in: names that need no package, for the hint.

    Raises:
        ValueError: no package brings it, several do, it cannot be imported, or it has no version.
    """
    kind, installed = GROUPS[group], entry_points(group=group)
    found = {each.value: each for each in installed if each.name == name}
    if not found:
        raise ValueError(f"no {kind} {name!r} is installed; {did_you_mean(name, [*built_in, *(each.name for each in installed)])}\n"
                         f"hint: a package brings it by an entry point of the group {group!r}; install it in this environment")
    if len(found) > 1:
        raise ValueError(f"several packages bring the {kind} {name!r}: {', '.join(sorted(found))}; allowed: one")
    (entry,) = found.values()
    try:
        call = entry.load()
    except (ImportError, AttributeError) as error:
        raise ValueError(f"the {kind} {name!r} cannot be imported from {entry.value}: {error}") from error
    version = getattr(call, "version", None)
    if type(version) is not int or version < 1 or not callable(call):
        raise ValueError(f"the {kind} {name!r} of {entry.value} has version {version!r}; allowed: a function with an attribute "
                         "`version`, a whole number from 1")
    return Plugin(name, version, call)


def planned(group: str, name: str, version: int) -> Plugin:
    """Return an installed function in the version that a stage was planned with.

    Raises:
        ValueError: it is not installed, or in another version.
    """
    found = plugin(group, name)
    if found.version != version:
        raise ValueError(f"the {GROUPS[group]} {name!r} is installed in version {found.version}, and the stage was planned with version "
                         f"{version}\nhint: install that version here, or submit the study again with --update")
    return found
