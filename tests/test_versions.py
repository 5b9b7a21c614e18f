"""Versions: the lock satisfies pyproject and has what is installed; nothing lies below the floor that its weaknesses set."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NEEDED = [Requirement(text) for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]]

# The newest fixed weakness that parsing, serving or joining a cluster could meet.
FLOORS = {"ray": "2.60", "mlflow": "3.17.2", "streamlit": "1.54", "torch": "2.11", "pillow": "12.3", "pyarrow": "14.0.1"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonical(name): version for name, version in pairs}


PINS = pins()


@pytest.mark.parametrize("needed", NEEDED, ids=lambda needed: needed.name)
def test_the_lock_satisfies_the_project(needed):
    assert needed.specifier.contains(PINS[canonical(needed.name)])


@pytest.mark.parametrize("name", FLOORS)
def test_nothing_is_below_its_floor(name):
    assert Version(importlib.metadata.version(name)) >= Version(FLOORS[name])
    assert Version(PINS[name]) >= Version(FLOORS[name])


def test_the_lock_holds_the_whole_closure():
    required = {canonical(Requirement(text).name) for name in PINS for text in wanted(name)}
    assert required - PINS.keys() == set()


def wanted(name: str) -> list[str]:
    """Return what an installed package requires here, without its extras."""
    texts = importlib.metadata.requires(name) or []
    return [text for text in texts if (marker := Requirement(text).marker) is None or marker.evaluate({"extra": ""})]
