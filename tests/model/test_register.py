import subprocess
import sys

import pytest

import model


def test_register_is_that_of_the_package_for_transformers():
    from model.hf.saving import register
    assert model.register is register


def test_importing_the_package_loads_no_torch():
    code = "import model, model.config.stages, sys; print('torch' in sys.modules, 'register' in model.__all__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False True\n"


def test_another_name_is_refused_as_by_any_module():
    with pytest.raises(AttributeError, match="module 'model' has no attribute 'saving_of'"):
        model.saving_of  # noqa: B018
