"""The real Label Studio keeps the contract that the one in memory is held to as well."""

import pytest

from tests.label_studio_contract import *  # noqa: F403


@pytest.fixture(scope="module")
def studio(house):
    """A client of the real one."""
    return house.admin
