"""What people set in Label Studio's own pages: a backend added by hand."""

import pytest

from backend.labelstudio.client import LabelStudioError
from tests.e2e.conftest import first


def test_a_backend_added_by_hand_is_refused_with_the_command_that_adds_it(house, insects):
    project = house.project("By hand", first(insects, 0, 12), ["ants", "bees"])
    user, password = house.settings.credentials
    backend = {"project": project, "url": house.settings.backend_url, "title": "Mine", "auth_method": "BASIC_AUTH"}
    with pytest.raises(LabelStudioError, match=f"run `al-backend connect --project {project}`"):
        house.admin.request("POST", "/api/ml", json=backend | {"basic_auth_user": user, "basic_auth_pass": password})
