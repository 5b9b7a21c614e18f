"""MM1's rule against the rates that were published and computed from it."""

from dataclasses import replace

import pytest

from model.config.stages import PRESETS
from model.training.lr_rule import lr_of, mm1_learning_rate


@pytest.mark.parametrize(("size", "rate"), [
    (85e6, 2.62e-4), (302e6, 1.54e-4), (1e9, 9.27e-5), (1.2e9, 8.58e-5), (3e9, 5.83e-5), (7e9, 4.08e-5), (30e9, 2.21e-5),
])
def test_the_rule_gives_the_published_rates(size, rate):
    assert mm1_learning_rate(size) == pytest.approx(rate, rel=2e-3)


def test_embeddings_do_not_count():
    decoder = PRESETS["mm1.5-3b"].decoder
    assert lr_of(decoder) == lr_of(replace(decoder, vocabulary=1)) == lr_of(replace(decoder, tied=False))
    assert lr_of(decoder) == pytest.approx(6e-5, rel=0.05)


def test_no_parameters_have_no_rate():
    with pytest.raises(ValueError, match="num_parameters is 0"):
        mm1_learning_rate(0)
