import dataclasses

import pytest

from model.config import architecture, stages
from orchestrator.plan import factors

CONFIGURATIONS = sorted({each for module in (architecture, stages) for each in vars(module).values() if dataclasses.is_dataclass(each)},
                        key=lambda each: each.__name__)


def test_every_factor_says_what_it_means():
    assert [each.path for each in factors.factors() if not each.doc] == []


@pytest.mark.parametrize("cls", CONFIGURATIONS)
def test_every_field_of_a_configuration_says_what_it_means(cls):
    assert [each.name for each in dataclasses.fields(cls) if not factors._docs(cls).get(each.name)] == []
