"""`docker compose stop`."""

import pytest

pytestmark = pytest.mark.soak


@pytest.mark.usefixtures("label_studio")
def test_every_service_ends_within_its_grace_period(stack):
    services = ["label-studio", "postgres", "finetuner", "worker", "server", "redis"]
    assert stack.stop() == dict.fromkeys(services, True)
