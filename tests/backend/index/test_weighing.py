"""Several people's answers of a project, weighed: labels, ties and how sure they are, as the index has them afterwards."""

import pytest

from backend.index.consensus import LABELLED, TIE, UNUSABLE
from backend.index.index import Index
from backend.index.weighing import people_right, weigh_answers
from model.embeddings.embedding_store import EmbeddingStore
from tests.backend.project.made_up import TARGET, annotation, task
from tests.model.made_up import images

N, DIMENSIONS = 60, 20
ANN, BEN, CLEO = 1, 2, 3


class Project:
    """An index with embeddings of N photos, of which Ann and Ben both say what they are, most of them."""

    def __init__(self, folder):
        self.index = Index(folder / "index.sqlite")
        self.store = EmbeddingStore(folder / "embeddings", DIMENSIONS)
        self.embeddings, truth = images(N, DIMENSIONS, apart=1.2)
        self.truth = ["ABC"[label] for label in truth]
        self.unseen = -1  # the photo without an embedding
        self.said = {n: [annotation(self.truth[n], completed_by=ANN)] for n in range(N)}
        for n in range(20, N):
            self.say(n, self.truth[n], BEN)

    def say(self, number, choice, person, **more):
        self.said[number].append(annotation(choice, completed_by=person, **more))

    def take_in(self, *numbers):
        listed = [task(n + 1, *self.said[n], image=f"/{n}.jpg") for n in numbers or range(N)]
        self.index.update(listed, TARGET)
        if not numbers:
            kept = [n for n in range(N) if n != self.unseen]
            keys = [row.key for row in self.index.rows()]
            self.store.add([keys[n] for n in kept], self.embeddings[kept])

    def weigh(self, **how):
        return weigh_answers(self.index, self.store, TARGET, **how)

    def outcome(self, number):
        row = self.index.row(number + 1)
        return row.state, row.label


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path)
    yield made
    made.index.close()


def other(choice):
    return {"A": "B", "B": "C", "C": "A"}[choice]


def test_a_tie_is_settled_where_the_answers_of_all_and_the_head_make_it_sure(project):
    project.say(3, other(project.truth[3]), BEN)
    project.take_in()
    assert project.outcome(3) == (UNUSABLE, None)
    assert project.weigh()
    assert project.outcome(3) == (LABELLED, project.truth[3])
    assert project.index.answers.sureness()[4] > 0.7


def test_a_tie_that_nobody_can_tell_stays_one_and_says_how_unsure_it_is(project):
    for number in range(20):
        project.say(number, project.truth[number] if number != 3 else other(project.truth[3]), BEN)
    project.unseen = 3
    project.take_in()
    project.weigh()
    assert project.outcome(3) == (UNUSABLE, None)
    assert project.index.troubled(TIE) == [4]
    assert project.index.answers.sureness()[4] < 0.7


def test_every_label_says_how_sure_it_is(project):
    project.take_in()
    project.weigh()
    sureness = project.index.answers.sureness()
    assert sureness.keys() == set(range(1, N + 1))
    assert min(sureness.values()) > 0.5


def test_ground_truth_stays_the_label(project):
    project.say(3, other(project.truth[3]), BEN, ground_truth=True)
    project.take_in()
    project.weigh()
    assert project.outcome(3) == (LABELLED, other(project.truth[3]))
    assert project.index.answers.sureness()[4] == 1.0


def test_conflicting_ground_truth_is_left_to_people(project):
    project.said[3] = [annotation("A", completed_by=ANN, ground_truth=True)]
    project.say(3, "B", BEN, ground_truth=True)
    project.take_in()
    project.weigh()
    assert project.outcome(3) == (UNUSABLE, None)


def test_where_one_person_answers_each_image_nothing_is_weighed(project):
    project.said = {n: said[:1] for n, said in project.said.items()}
    project.take_in()
    assert not project.weigh(again=True)
    assert project.index.answers.sureness() == {}


def test_what_was_weighed_is_weighed_again_only_when_somebody_answers(project):
    project.take_in()
    assert project.weigh()
    assert not project.weigh()
    project.say(3, other(project.truth[3]), BEN)
    project.take_in(3)
    assert project.outcome(3) == (UNUSABLE, None)
    assert project.weigh()
    assert project.outcome(3) == (LABELLED, project.truth[3])


def test_a_person_who_changes_their_mind_counts_once(project):
    wrong = other(project.truth[3])
    project.said[3] = [annotation(wrong, completed_by=ANN, created_at="2026-01-01T00:00:00Z")]
    project.say(3, project.truth[3], ANN, created_at="2026-01-02T00:00:00Z")
    project.say(3, project.truth[3], BEN)
    project.take_in()
    project.weigh()
    assert project.index.answers.sureness()[4] > 0.9


def test_the_majority_stays_before_a_head_can_tell(project):
    project.take_in()
    project.index.keep_only(range(21, 31))
    project.say(25, other(project.truth[25]), CLEO)
    project.take_in(25)
    assert project.weigh()
    assert project.outcome(25) == (LABELLED, project.truth[25])
    assert project.index.answers.sureness() == {}


def test_it_tells_how_often_each_person_is_right(project):
    for number in range(20):
        project.say(number, other(project.truth[number]) if number < 10 else project.truth[number], CLEO)
    project.take_in()
    assert people_right(project.index) == {}
    project.weigh()
    right = people_right(project.index)
    assert right[CLEO] < 0.75 < 0.9 < min(right[ANN], right[BEN])


def test_the_result_does_not_depend_on_what_it_was_before(project):
    project.say(3, other(project.truth[3]), BEN)
    project.take_in()
    project.weigh()
    first = [row[:6] for row in project.index.rows()], project.index.answers.sureness()
    project.weigh(again=True)
    assert ([row[:6] for row in project.index.rows()], project.index.answers.sureness()) == first


def test_reading_a_task_again_forgets_nothing_of_a_label_that_one_person_gave(project):
    project.take_in()
    project.weigh()
    before = project.index.answers.sureness()
    project.take_in(3, 25)
    assert project.index.answers.sureness() == {task: sure for task, sure in before.items() if task != 26}
    assert project.weigh()
    assert project.index.answers.sureness() == before
    project.said[3] = [annotation(other(project.truth[3]), completed_by=ANN)]
    project.take_in(3)
    assert 4 not in project.index.answers.sureness()


def test_single_answers_are_weighed_where_that_is_asked_for(project):
    project.said = {n: said[:1] for n, said in project.said.items()}
    project.said[3] = [annotation(other(project.truth[3]), completed_by=ANN)]
    project.take_in()
    assert project.weigh(again=True, single=True)
    assert project.outcome(3) == (LABELLED, other(project.truth[3]))
    sureness = project.index.answers.sureness()
    assert min(sureness, key=sureness.get) == 4
