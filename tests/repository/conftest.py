from __future__ import annotations

import pytest

from tests.conftest import MakePlain
from tests.support.project import Plain
from tests.support.world import TINY


@pytest.fixture
def tiny(make_plain: MakePlain) -> Plain:
    return make_plain(TINY)
