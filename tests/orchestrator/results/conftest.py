"""An empty ledger for tests of results."""

import pytest

from tests.support import scored


@pytest.fixture
def engine(tmp_path):
    engine = scored.ledger(tmp_path)
    yield engine
    engine.dispose()
