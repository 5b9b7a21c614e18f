import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.search.olmix import from_csv, to_csv


def test_rows_have_run_name_and_shares():
    text = to_csv({"a": {"general": 0.5, "science": 0.5}, "b": {"general": 1.0}}, {"a": "science=1"}, missing=0.0)
    assert text == "run,name,general,science\na,science=1,0.5,0.5\nb,b,1.0,0.0\n"


@given(st.dictionaries(st.text("abc", min_size=1), st.fixed_dictionaries({"x": st.floats(-1e6, 1e6), "y": st.floats(0, 1)}), min_size=1))
def test_what_is_written_is_read_back(rows):
    assert from_csv(to_csv(rows, {}), "metrics.csv", are_shares=False) == rows


def test_the_form_of_the_other_tool_is_read():
    text = "run_id,dclm,arxiv\nrun_001,0.75,0.25\n"
    assert from_csv(text, "ratios.csv", are_shares=True) == {"run_001": {"dclm": 0.75, "arxiv": 0.25}}


@pytest.mark.parametrize(("text", "message"), [
    ("dclm\n1\n", "ratios.csv:1: no column 'run' or 'run_id'; found: dclm"), ("run,a\nx,0.5\n", "ratios.csv:2: shares of x sum to 0.5"),
    ("run,a\nx,1\nx,1\n", "ratios.csv:3: run 'x' occurs twice"), ("run,a\nx,many\n", "ratios.csv:2: a: 'many'; allowed: a number"),
    ("run,a\nx,inf\n", "allowed: a finite number"), ("run,a,b\nx,1\n", "differs from the 3 columns"),
    ("run,a,b\nx,1.5,-0.5\n", "shares >= 0"),
])
def test_rows_that_cannot_be_used_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        from_csv(text, "ratios.csv", are_shares=True)
