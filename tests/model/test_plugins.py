"""Functions of installed packages are found by name and version, or refused by name."""

import sys

import pytest

from model.plugins import FAMILIES, LAYOUTS, METRICS, planned, plugin
from tests.support import package


@pytest.fixture
def installed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(package.install(tmp_path / "site")))
    yield tmp_path
    sys.modules.pop("lab_plugins", None)


@pytest.mark.parametrize(("group", "name", "version"), [(METRICS, "first-word", 3), (FAMILIES, "counting", 1), (LAYOUTS, "pairs", 2)])
def test_an_entry_point_is_found_with_its_version(installed, group, name, version):
    assert (plugin(group, name).version, planned(group, name, version).name) == (version, name)


@pytest.mark.parametrize(("name", "says"), [
    ("first-wrod", "no metric 'first-wrod' is installed; did you mean 'first-word'"), ("nameless", "version None; allowed: a function"),
    ("absent", "cannot be imported from lab_plugins:absent")])
def test_what_cannot_be_used_is_refused_by_name(installed, name, says):
    with pytest.raises(ValueError, match=says):
        plugin(METRICS, name)


def test_another_version_than_planned_is_refused(installed):
    with pytest.raises(ValueError, match="'first-word' is installed in version 3, and the stage was planned with version 2"):
        planned(METRICS, "first-word", 2)


def test_two_packages_with_one_name_are_refused(installed, monkeypatch):
    other = package.install(installed / "other", name="other_plugins", entries="[ablate.metrics]\nfirst-word = other_plugins:first_word\n")
    monkeypatch.syspath_prepend(str(other))
    with pytest.raises(ValueError, match="several packages bring the metric 'first-word': lab_plugins:first_word, other_plugins"):
        plugin(METRICS, "first-word")


def test_without_the_package_the_hint_names_the_group():
    with pytest.raises(ValueError, match="no layout 'pairs' is installed.*\n.*'ablate.layouts'"):
        plugin(LAYOUTS, "pairs", built_in=("llava",))
