"""More images like a given one."""

import numpy as np
import pytest

from tests.backend.jobs.made_up import label_some, session_on, settings_for
from tests.backend.pages.pictures import place, shown, unit


def test_more_like_an_image_comes_the_most_alike_first(browser, session):
    tasks = [row.task for row in session.index.rows()]
    vectors = np.stack([unit(1.0, 0.1 * abs(number - 5)) for number in range(12)])
    place(session, tasks, vectors)
    left = set(session.index.tasks.pool()[0].tolist())
    page = browser.get(f"/projects/{session.project}/find?task={tasks[5]}")
    asked, *alike = shown(page)
    assert asked == tasks[5]
    assert set(alike) == left - {asked}
    away = [abs(tasks.index(task) - 5) for task in alike]
    assert away == sorted(away)


def test_a_labelled_image_finds_others_like_it(browser, session):
    labelled = next(row.task for row in session.index.rows() if row.state == "labelled")
    asked, nearest, *_ = shown(browser.get(f"/projects/{session.project}/find?task={labelled}"))
    assert asked == labelled
    assert nearest % 2 == labelled % 2


def test_what_is_found_opens_in_label_studio_and_tells_no_guess(browser, session, label_studio):
    task = shown(browser.get(f"/projects/{session.project}/queue"))[0]
    page = browser.get(f"/projects/{session.project}/find?task={task}")
    for other in shown(page):
        assert f'href="{label_studio.url}/projects/{session.project}/data?task={other}"' in page
    assert "<strong>" not in page


@pytest.mark.parametrize(
    ("asked", "status"), [("", 400), ("x", 400), ("-1", 400), ("9" * 30, 400), ("²", 400), ("999999", 404)]
)
def test_what_is_no_task_finds_nothing(browser, session, asked, status):
    assert browser.http.get(f"/projects/{session.project}/find", params={"task": asked}).status_code == status


def test_a_task_of_another_project_finds_nothing(browser, session, label_studio, make_settings):
    with session_on(label_studio, settings_for(make_settings), 4) as other:
        label_some(label_studio, other, 2)
        foreign = other.index.rows()[0].task
        assert other.project != session.project
    assert browser.http.get(f"/projects/{session.project}/find?task={foreign}").status_code == 404
