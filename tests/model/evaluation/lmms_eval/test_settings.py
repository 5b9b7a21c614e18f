"""`--model_args` become inference settings, or are refused."""

import pytest

from model.config.stages import ImageConfig
from model.evaluation.lmms_eval.settings import batch_size, evaluate_config


def test_fields_of_images_and_evaluation_are_read():
    found = evaluate_config({"mode": "dynamic", "tile": 64, "tokens": 16, "n_max": 4, "n_min": 1, "dtype": "bf16", "threads": 2}, batch=8)
    assert found.images == ImageConfig(mode="dynamic", tile=64, tokens=16, n_min=1, n_max=4)
    assert (found.dtype, found.threads, found.batch) == ("bf16", 2, 8)


@pytest.mark.parametrize(("given", "message"), [
    ({"mode": "single", "tile": 64}, "tokens: missing"), ({"mode": "single", "tile": 64, "token": 16}, "did you mean 'tokens'"),
    ({"mode": "twice", "tile": 64, "tokens": 16}, "model_args.images.mode"), ({"tile": "64px", "mode": "single", "tokens": 4}, "tile")])
def test_what_cannot_be_meant_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        evaluate_config(given, batch=1)


def test_batches_are_counted_and_not_searched_for():
    assert (batch_size("8"), batch_size(1)) == (8, 1)
    with pytest.raises(ValueError, match="--batch_size auto; allowed: a number"):
        batch_size("auto")
