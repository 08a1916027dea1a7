"""More tasks than fit on one of Label Studio's pages: read whole, then by their changes alone."""

from datetime import timedelta

import numpy as np
import pytest

from backend.bench import label_studio as ls
from backend.labelstudio.client import LabelStudioError
from backend.learning.slots import slot_order
from backend.project.embedding import unembedded
from backend.project.session import Session

pytestmark = pytest.mark.soak
TASKS = 1100


@pytest.fixture(scope="module")
def project(house):
    """A project of several pages."""
    project = ls.find_or_make_project(house.admin, "Many tasks", ["A", "B"])
    body = [{"image": f"/data/upload/none/{n}.jpg"} for n in range(TASKS)]
    house.admin.request("POST", f"/api/projects/{project}/import", json=body)
    ls.wait_for_tasks(house.admin, project, TASKS)
    return project


def label(house, task):
    """Label a task "B"."""
    result = [{"from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": ["B"]}}]
    house.admin.request("POST", f"/api/tasks/{task}/annotations/", json={"result": result})


def test_it_is_read_whole_and_then_by_changes(house, project):
    with Session(house.settings, project) as session:
        session.sync()
        assert session.index.count() == TASKS
        first, last = session.index.rows()[0].task, session.index.rows()[-1].task
        label(house, last)
        house.admin.request("DELETE", f"/api/tasks/{first}/")
        session.sync()
        rows = session.index.rows()
        assert (len(rows), rows[0].task > first, rows[-1].label) == (TASKS - 1, True, "B")


def test_a_reading_that_breaks_off_loses_no_label(house, project, monkeypatch):
    with Session(house.settings, project) as session:
        session.sync()
        tasks = [row.task for row in session.index.rows()]
        label(house, tasks[0])
        label(house, tasks[-2])
        whole = session.label_studio.tasks

        def broken(*arguments):
            page = next(whole(*arguments))
            yield page[:1]
            raise LabelStudioError("the connection broke")

        monkeypatch.setattr(session.label_studio, "tasks", broken)
        with pytest.raises(LabelStudioError):
            session.sync()
        monkeypatch.setattr(session.label_studio, "tasks", whole)
        monkeypatch.setattr("backend.index.sync.OVERLAP", timedelta(0))
        session.sync()
        assert {row.task for row in session.index.rows() if row.label} >= {tasks[0], tasks[-2]}


def test_images_are_embedded_in_the_order_of_random_slots(house, project):
    with Session(house.settings, project) as session:
        session.sync()
        _, others = unembedded(session)
        tasks = np.array(sorted(others))
        assert others == tasks[slot_order(tasks)].tolist()
