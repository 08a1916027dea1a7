"""More tasks than fit on one of Label Studio's pages: read whole, then by their changes alone."""

from backend.session import Session
from tools import label_studio as ls

TASKS = 1100


def test_a_project_of_several_pages_is_read_whole_and_then_by_changes(house):
    project = ls.find_or_make_project(house.admin, "Many tasks", ["A", "B"])
    body = [{"image": f"/data/upload/none/{n}.jpg"} for n in range(TASKS)]
    house.admin.request("POST", f"/api/projects/{project}/import", json=body)
    ls.wait_for_tasks(house.admin, project, TASKS)
    with Session(house.settings, project) as session:
        session.sync()
        assert session.index.count() == TASKS
        first, last = session.index.rows()[0].task, session.index.rows()[-1].task
        result = [{"from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": ["B"]}}]
        house.admin.request("POST", f"/api/tasks/{last}/annotations/", json={"result": result})
        house.admin.request("DELETE", f"/api/tasks/{first}/")
        session.sync()
        rows = session.index.rows()
        assert (len(rows), rows[0].task > first, rows[-1].label) == (TASKS - 1, True, "B")
