"""What each webhook of Label Studio's makes happen."""

import itertools
import subprocess
import sys

import pytest

from backend.bench.label_studio import label_config
from backend.labelstudio.accepted import Mark, marked
from backend.labelstudio.labelling_config import parse_label_config
from backend.queue.signs import heard
from backend.records.state import Projects
from backend.records.wishes import TAKE_BACK, Wishes
from backend.server.bodies import BadRequest, project_id
from backend.server.events import SUBMIT_SECONDS, handle, handle_all
from tests.backend.queue.test_work import due
from tests.conftest import ROOT

CONFIG = label_config(["A", "B"])


@pytest.fixture
def send(make_settings, work):
    """Send an event for project 1; returns what was answered."""
    settings = make_settings(quiet_seconds=30)
    with Projects(settings.data_dir).edit(1) as state:
        state.connected = True
        state.live, state.target = "al-1-000000", parse_label_config(CONFIG).as_dict()

    def post(action, **payload):
        project = {"id": 1, "label_config": CONFIG, "model_version": "al-1-000000"} | payload.pop("project", {})
        return handle({"action": action, "project": project} | payload, settings, work)

    post.settings = settings
    return post


def kind(answer):
    """Which kind of job an answer names."""
    return answer.get("job", "ignored").split("-")[0]


@pytest.mark.parametrize(
    ("action", "payload", "labels"),
    [
        ("ANNOTATION_CREATED", {"annotation": {"id": 1, "was_cancelled": False}}, 1),
        ("ANNOTATION_UPDATED", {"annotation": {"id": 1, "ground_truth": True}}, 1),
        ("ANNOTATIONS_CREATED", {"annotation": [{"id": 1}, {"id": 2}], "task": [{}, {}]}, 2),
        ("ANNOTATIONS_DELETED", {"annotations": [{"id": 1}, {"id": 2}]}, 2),
    ],
)
def test_labels_wake_a_round_and_are_counted(send, work, action, payload, labels):
    assert kind(send(action, **payload)) == "round"
    assert work.pending(1) == labels


def test_labels_accepted_from_the_model_wake_nothing(send, work):
    target = parse_label_config(CONFIG)
    accepted = {"result": [marked(target.region("A", 0.99), Mark("al-1-000000", 0.02))]}
    assert kind(send("ANNOTATIONS_CREATED", annotation=[accepted, accepted])) == "ignored"
    assert work.pending(1) == 0


def test_while_accepted_labels_are_taken_back_deletions_start_no_rounds(send, work):
    wishes = Wishes(Projects(send.settings.data_dir).documents(1))
    wishes.add(TAKE_BACK)
    assert kind(send("ANNOTATIONS_DELETED", annotations=[{"id": 1}])) == "reconcile"
    wishes.settle(wishes.waiting()[0], "done", refused=False)
    assert kind(send("ANNOTATIONS_DELETED", annotations=[{"id": 1}])) == "round"
    assert work.pending(1) == 1


def test_a_skip_teaches_nothing_but_moves_the_task(send, work):
    assert kind(send("ANNOTATION_CREATED", annotation={"was_cancelled": True, "result": []})) == "reconcile"
    assert work.pending(1) == 0


@pytest.mark.parametrize("action", ["TASKS_CREATED", "TASKS_DELETED"])
def test_new_and_deleted_tasks_are_looked_at(send, action):
    assert kind(send(action, tasks=[{"id": 5}])) == "reconcile"


def test_start_training_starts_at_once(send):
    assert kind(send("START_TRAINING")) == "round"


@pytest.mark.parametrize(("depth", "started"), [("off", None), ("", None), ("last", "finetune_last"), ("all", "finetune_all")])
def test_start_training_retrains_resnet50_too_if_the_project_says_so(send, depth, started):
    with Projects(send.settings.data_dir).edit(1) as state:
        state.finetune = depth
    answer = send("START_TRAINING")
    assert kind(answer) == "round"
    assert answer.get("finetune", "").split("-")[0] == (started or "")


ON = {"min_annotations_to_start_training": 1}  # "Start model training on annotation submission"


def submit(send):
    """What Label Studio sends of a Submit with that setting on, in its order."""
    send("START_TRAINING", project=ON)
    send("ANNOTATION_CREATED", annotation={"id": 1}, project=ON)


def test_training_with_each_submit_still_waits_for_enough_labels(send, work):
    submit(send)
    submit(send)
    assert due(work)["round-1-0"] == pytest.approx(30, abs=3)  # the quiet time
    submit(send)
    assert due(work)["round-1-0"] <= 0  # three labels


def test_training_with_each_submit_counts_each_label_once(send, work):
    submit(send)
    assert work.pending(1) == 1


def test_training_with_each_submit_retrains_no_resnet50(send):
    with Projects(send.settings.data_dir).edit(1) as state:
        state.finetune = "last"
    assert "finetune" not in send("START_TRAINING", project=ON)


def test_a_person_who_starts_training_with_that_setting_on_waits_a_few_seconds(send, work):
    send("START_TRAINING", project=ON)
    assert due(work)["round-1-0"] == pytest.approx(SUBMIT_SECONDS, abs=2)


def test_training_with_each_submit_hastens_no_round_that_waits_for_something_else(send, work):
    work.wake("round", 1, 20)
    send("START_TRAINING", project=ON)
    assert due(work)["round-1-0"] == pytest.approx(20, abs=3)


def test_our_own_switch_means_nothing(send):
    assert kind(send("PROJECT_UPDATED")) == "ignored"


def test_a_change_is_heard_of_for_doctor_to_see_and_a_label_is_none(send, work):
    send("ANNOTATION_CREATED", annotation={"id": 1})
    assert heard(work.redis, 1) == ("", "")
    send("PROJECT_UPDATED")
    assert heard(work.redis, 1)[0]


def test_changed_classes_wake_a_round(send):
    assert kind(send("PROJECT_UPDATED", project={"label_config": label_config(["A", "B", "C"])})) == "round"


def test_a_model_version_that_is_not_ours_is_looked_at(send):
    assert kind(send("PROJECT_UPDATED", project={"model_version": ""})) == "reconcile"


def test_a_config_without_choices_is_ignored_with_the_reason(send):
    assert "Choices" in send("PROJECT_UPDATED", project={"label_config": "<View/>"})["ignored"]


@pytest.mark.parametrize("action", ["DRAFT_CREATED", "", None])
def test_anything_else_is_ignored(send, action):
    assert kind(send(action)) == "ignored"


def test_a_paused_project_does_not_train(send):
    with Projects(send.settings.data_dir).edit(1) as state:
        state.paused = True
    assert send("ANNOTATION_CREATED", annotation={"id": 1})["job"].startswith("reconcile-"), "its queue is looked after"


def test_a_project_that_is_not_connected_is_left_alone(send):
    with Projects(send.settings.data_dir).edit(1) as state:
        state.connected = False
    assert "connect --project 1" in send("START_TRAINING")["ignored"]
    assert "connect --project 1" in send("ANNOTATION_CREATED", annotation={"id": 1})["ignored"]


@pytest.mark.parametrize(("given", "number"), [({"id": 3}, 3), (3, 3), ("3.1795353865", 3)])
def test_a_project_is_named_in_three_ways(given, number):
    assert project_id(given) == number


@pytest.mark.parametrize("given", [None, {}, "x", [1]])
def test_without_a_project_there_is_a_clear_error(given):
    with pytest.raises(ValueError, match="project"):
        project_id(given)


def test_commands_start_without_importing_what_takes_a_second():
    code = "import sys, backend.__main__; assert not {'torch', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_server_answers_webhooks_without_importing_torch():
    code = "import sys, backend.server.app, backend.server.events, backend.__main__; assert 'torch' not in sys.modules, 'torch'"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def scripts_run(redis):
    """How many times Redis has run a script of ours."""
    return redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)


def label(project=1, **more):
    """A Submit of one label."""
    return {"action": "ANNOTATION_CREATED", "project": {"id": project}, "annotation": {"id": 1}} | more


SUBMIT_WITH_TRAINING = {"action": "START_TRAINING", "project": {"id": 1, "min_annotations_to_start_training": 1}}
PRESSED = {"action": "START_TRAINING", "project": {"id": 1}}
SKIP = label(annotation={"was_cancelled": True, "result": []})
OTHER_CONFIG = {"action": "PROJECT_UPDATED", "project": {"id": 1, "label_config": label_config(["A", "C"])}}


def test_a_burst_of_labels_is_one_act_on_redis_and_each_is_counted(send, work, redis):
    send("ANNOTATION_CREATED", annotation={"id": 1})  # Redis knows the script from now on
    before = scripts_run(redis)
    answers = handle_all([label()] * 50, send.settings, work)
    assert scripts_run(redis) - before == 1
    assert {kind(answer) for answer in answers} == {"round"}
    assert work.pending(1) == 51


def test_one_odd_event_of_a_burst_costs_itself_alone(send, work):
    first, odd, last = handle_all([label(), label(project="x"), label()], send.settings, work)
    assert (kind(first), kind(last)) == ("round", "round")
    assert isinstance(odd, BadRequest)
    assert work.pending(1) == 2


@pytest.mark.parametrize("events", list(itertools.permutations([label(), SUBMIT_WITH_TRAINING, PRESSED, OTHER_CONFIG], 3)))
def test_a_burst_leaves_what_its_events_leave_one_by_one(send, work, redis, events):
    events = [label(), *events, label(), SKIP]
    alone = ([handle(event, send.settings, work) for event in events], work.pending(1), redis.hget("al:project:1", "quiet"))
    times = due(work)
    redis.flushdb()
    together = (handle_all(events, send.settings, work), work.pending(1), redis.hget("al:project:1", "quiet"))
    assert together == alone
    assert due(work) == pytest.approx(times, abs=1.6)
