"""The Label Studio in memory keeps the contract that the real one is held to as well."""

import pytest

from tests.label_studio_contract import *  # noqa: F403
from tests.label_studio_in_memory import LabelStudioInMemory


@pytest.fixture(scope="module")
def studio():
    """A client of one in memory."""
    with LabelStudioInMemory() as label_studio:
        yield label_studio.client()
