import html.parser

import pytest

from orchestrator.ledger import read
from orchestrator.ledger.summaries import keep_estimate
from orchestrator.results import figures, panels, provenance, report
from orchestrator.results.results import study_results
from tests.support import scored


@pytest.fixture
def render(tmp_path, planned):
    """Render the report of a study written as changes to the alpha study."""
    engines = []

    def rendered(*changes, finish=True, estimate=None, **options):
        engines.append(scored.ledger(tmp_path))
        scored.enter(engines[-1], planned(("seeds: 2", "seeds: 3"), *changes, **options))
        scored.finish(engines[-1], gain=8.0 if finish else 0.0, skip=() if finish else {trial.trial_key for trial in read.trials(
            engines[-1], "study-1")})
        if estimate:
            keep_estimate(engines[-1], "study-1", estimate)
        return report.render(study_results(engines[-1], read.study(engines[-1], "written")))

    yield rendered
    for engine in engines:
        engine.dispose()


class Outline(html.parser.HTMLParser):
    """Collects tags and checks that they nest."""

    VOID = frozenset({"meta", "br", "path", "use", "rect"})

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href", "action", "data")]
        self.open += [tag] if tag not in self.VOID else []

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open = self.open[: len(self.open) - (tag not in self.VOID)]

    def handle_endtag(self, tag):
        self.open = self.open[: len(self.open) - (tag not in self.VOID)]


def outline(page):
    found = Outline()
    found.feed(page)
    return found


def test_page_is_whole_and_asks_for_nothing(render):
    found = outline(render())
    assert found.open == []
    assert all(address.startswith("#") for address in found.addresses)
    assert not {"script", "link", "iframe", "img"} & set(found.tags)


def test_page_shows_question_verdict_and_curve(render):
    page = render()
    assert "How much?" in page
    assert "science=0.5 is selected" in page
    assert 'role="img" aria-label="Knowledge for 3 of 3 arms; highest 0.5:' in page
    assert "Chosen: 0.5 with" in page


def test_page_sets_what_was_expected_beside_what_it_took(render):
    assert "of compute expected" not in render()
    assert "2 h 30 min of compute expected" in render(estimate={"hours": 2.5})


def test_names_from_the_study_are_escaped(render):
    page = render(("question: How much?", 'question: "<script>alert(1)</script> & more"'))
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page


def test_dollar_signs_in_a_study_are_just_text(render):
    assert "costs $5 $title" in render(("question: How much?", 'question: "costs $5 $title"'))


def test_unfinished_study_has_a_page_without_curve(render):
    page = render(finish=False)
    assert "No verdict yet" in page
    assert "<svg" not in page


def test_tokens_figure_appears_when_tokens_differ(render):
    assert render().count("<svg") == 2


ROWS = """
name: written
question: Which rows?
recipe: sft-ablation
arms:
  "plain <b>": {}
  more science: {sft.mixture.alpha.science: 0.5}
seeds: 2
select: {maximize: knowledge, baseline: "plain <b>"}
"""


def test_rows_are_drawn_by_name(render):
    page = render(text=ROWS)
    assert outline(page).open == []
    assert "plain &lt;b&gt;" in page
    assert "<b>" not in page


def test_report_is_the_same_twice_and_replaces_the_older_one(tmp_path, planned):
    engine = scored.ledger(tmp_path)
    scored.enter(engine, planned())
    results = study_results(engine, read.study(engine, "written"))
    path = tmp_path / "reports" / "r.html"
    assert report.write_report(results, path) == path
    first = path.read_text()
    report.write_report(results, path)
    assert path.read_text() == first
    assert [each.name for each in path.parent.iterdir()] == ["r.html"]
    engine.dispose()


def test_levels_of_one_factor_are_sorted(render, tmp_path):
    render(("[0, 0.1, 0.5]", "[0.5, 0, 0.1]"))
    engine = scored.ledger(tmp_path)
    shown = panels.panel(study_results(engine, read.study(engine, "written")), "knowledge")
    assert ([point.label for point in shown.points], shown.is_ordered) == (["0", "0.1", "0.5"], True)
    engine.dispose()


def test_first_page_answers_claims_and_reproduces_before_any_table(render):
    page = render(("seeds: 3", "seeds: 3\npublished: alpha-science"))
    order = ("is selected", "<svg", "Published claims", "<h2>Reproduce", "<h2>Arms", "<h2>Appendix")
    places = [page.index(text) for text in order]
    assert places == sorted(places)


def test_hashes_and_configuration_are_in_the_appendix_alone(render):
    page = render()
    before, appendix = page.split("<h2>Appendix</h2>")
    assert "Specification" in appendix
    assert "Resolved configuration" in appendix
    assert "<details>" not in before


def test_figures_follow_the_theme_of_the_page(render):
    page = render()
    drawing = page[page.index("<svg"):page.index("</svg>")]
    assert "var(--plot)" in drawing
    assert figures.BLUE not in drawing


def test_scores_say_how_many_answers_were_unread(render):
    assert "3 of 600 unread" in render()


def test_metrics_have_their_titles(render):
    page = render()
    assert ">MMBase<" in page
    assert ">mmbase<" not in page


def test_commit_is_read_from_a_clone(tmp_path):
    (tmp_path / ".git" / "refs" / "heads").mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    assert provenance.commit_of(tmp_path) == ""
    (tmp_path / ".git" / "packed-refs").write_text(f"# pack-refs\n{'b' * 40} refs/heads/main\n")
    assert provenance.commit_of(tmp_path) == "b" * 40
    (tmp_path / ".git" / "refs" / "heads" / "main").write_text("a" * 40 + "\n")
    assert provenance.commit_of(tmp_path) == "a" * 40
    assert provenance.commit_of(tmp_path / "elsewhere") == ""
