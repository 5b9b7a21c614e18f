"""The script of the GPU runs to its end without one: every row has a figure or says why it has none."""

import json

import pytest

from tests.perf import gpu

WORDS = {"compiled", "CUDA graphs", "packed", "padded", "fused optimizer", "cast once", "bf16 stream", "connector", "FlashAttention",
         "cuDNN", "heads filled up", "one pass", "at most 15 tiles", "waits", "last pass only", "transformers modules", "pictures shared",
         "suite of 200,000", "second benchmark", "branching point", "steps asked"}
"""What the rows are about: levers of a step, evaluation, shared stages."""


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)


def test_the_table_has_a_row_for_each_lever_and_each_says_what_became_of_it(no_gpu, tmp_path, capsys):
    out = tmp_path / "figures.json"
    assert gpu.main(["--small", "--rows", "200,000", "--out", str(out)]) == 0
    rows = json.loads(out.read_text())["figures"]
    for word in WORDS:
        assert any(word in row["what"] for row in rows), word
    ran = [row for row in rows if "value" in row]
    assert [row["unit"] for row in ran] == ["H100-hours", "H100-hours"]
    assert ran[1]["value"] <= 1.5
    assert all(row["why"].startswith("not run: ") for row in rows if row not in ran)
    assert "not run: left out by --rows" in capsys.readouterr().out


def test_a_row_that_fails_says_why_and_the_next_one_runs():
    table = gpu.Table(deadline=float("inf"))
    table.run(gpu.step("impossible", "tiny", batch=0))
    table.run(gpu.Row("by arithmetic", gpu.of("suite", "mm1.5-3b", share=4), "H100-hours"))
    assert "batch" in table.rows[0]["why"]
    assert table.rows[1]["value"] > 1


def test_without_a_gpu_the_large_rows_are_refused(no_gpu, capsys):
    with pytest.raises(SystemExit):
        gpu.main([])
    assert "no CUDA device was found; --small tries the rows on a CPU" in capsys.readouterr().err
