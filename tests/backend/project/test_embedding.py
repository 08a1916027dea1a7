"""Embedding a project's images from a Label Studio: what one image costs, what an outage costs, what the index remembers."""

import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from backend.bench.label_studio import label_config
from backend.labelstudio.client import LabelStudioError
from backend.project import embedding
from backend.project.embedding import embed, embed_tasks, get_backbone, unembedded
from backend.project.session import Session
from backend.records.state import NETWORKS
from model.embeddings.embedding_loop import SHARD
from model.networks.backbone import BackboneSpec, backbone_name
from model.networks.weights_file import WeightsError
from tests.label_studio_in_memory import TOKEN, Fault
from tests.model.made_up import DIMENSIONS

SIGNED = "{url}/data/upload/1/1.png?X-Amz-Date=2026&X-Amz-Signature={{}}"


def png(shade):
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (shade, shade, shade)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def project(label_studio, make_settings, monkeypatch):
    """Open a project with an image for each of the references given; every image has a file unless it is in `without`."""
    network = SimpleNamespace(
        least_side=256,
        batch=8,
        prepare=np.asarray,
        embed=lambda images: np.repeat(images.mean((1, 2, 3))[:, None], DIMENSIONS, 1),
    )
    monkeypatch.setattr(embedding, "get_backbone", lambda *_: network)
    opened = []

    def start(references, without=()):
        for number in range(1, len(references) + 1):
            if number not in without:
                label_studio.files[f"/data/upload/1/{number}.png"] = png(number % 200)
        number = label_studio.add_project(label_config(["A", "B"]), [r.format(url=label_studio.url) for r in references])
        settings = make_settings(label_studio_url=label_studio.url, label_studio_api_key=TOKEN, image_seconds=3)
        opened.append(Session(settings, number).__enter__())
        opened[-1].sync()
        return opened[-1]

    yield start
    for session in opened:
        session.__exit__()


def paths(n):
    return [f"/data/upload/1/{number}.png" for number in range(1, n + 1)]


def embed_all(session):
    labelled, others = unembedded(session)
    return embed_tasks(session, [*labelled, *others])


def embedded(session):
    """For each task, in the order of ids, whether it has an embedding."""
    session.store.refresh()
    return session.store.get([row.key for row in session.index.rows()])[1].tolist()


def test_every_image_is_embedded_once(project):
    session = project(paths(3))
    assert embed_all(session) == 3
    assert embedded(session) == [True] * 3
    assert embed_all(session) == 0


def test_the_index_is_asked_for_few_images_at_a_time(project, monkeypatch):
    monkeypatch.setattr(embedding, "PART", 2)
    session, asked = project(paths(5)), []
    rows_of = session.index.rows_of
    monkeypatch.setattr(session.index, "rows_of", lambda tasks: asked.append(len(tasks)) or rows_of(tasks))
    _, tasks = unembedded(session)
    assert asked == []
    session.index.forget(tasks[3:4])  # is gone meanwhile
    assert embed_tasks(session, tasks) == 4
    assert asked == [2, 2, 1]


def test_one_missing_file_costs_itself_alone_and_is_named(project):
    session = project(paths(3), without=(2,))
    embed_all(session)
    assert embedded(session) == [True, False, True]
    (problem,) = session.index.problems()
    assert (problem.kind, problem.count, problem.tasks) == ("image", 1, (session.index.rows()[1].task,))


def test_many_files_that_fail_are_logged_in_one_line(project, caplog):
    session = project(paths(9), without=range(1, 10))
    embed_all(session)
    assert len([record for record in caplog.records if record.name == "backend.project.embedding"]) == 1
    assert "8 more images" in caplog.text


def test_an_image_that_can_be_read_again_is_no_problem_any_more(project, label_studio):
    session = project(paths(1), without=(1,))
    embed_all(session)
    label_studio.files["/data/upload/1/1.png"] = png(1)
    embed(session, session.index.rows())
    assert session.index.problems() == []
    assert embedded(session) == [True]


def test_an_image_cut_off_is_embedded_and_counted(project, label_studio):
    noise = np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG")
    session = project(paths(1))
    label_studio.files["/data/upload/1/1.png"] = buffer.getvalue()[:-20_000]
    embed_all(session)
    assert embedded(session) == [True]
    assert [(problem.kind, problem.count) for problem in session.index.problems()] == [("partial", 1)]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_label_studio_out_of_order_is_raised_and_no_images_fault(project, label_studio, status):
    session = project(paths(5), without=range(1, 6))
    label_studio.faults += [Fault("GET", path, status, times=10_000) for path in ("/data/upload", "/api", "/health")]
    with pytest.raises(LabelStudioError):
        embed_all(session)
    assert session.index.problems() == []
    assert not session.index.tasks.barred()


@pytest.mark.parametrize("status", [500, 429])
def test_files_that_fail_for_a_moment_are_tried_again_within_two_minutes(project, label_studio, status):
    session = project(paths(3), without=(2,))
    label_studio.faults.append(Fault("GET", "/data/upload/1/2.png", status, times=10_000))
    embed_all(session)
    assert embedded(session) == [True, False, True]
    assert session.index.awaited() == {session.index.rows()[1].task}


def test_what_came_before_an_outage_is_kept(project, label_studio):
    n = SHARD + 40
    session = project(paths(n), without=range(SHARD + 1, n + 1))
    label_studio.faults += [Fault("GET", path, 503, times=10_000) for path in ("/data/upload", "/api", "/health")]
    with pytest.raises(LabelStudioError):
        embed(session, session.index.rows())
    assert embedded(session)[:SHARD] == [True] * SHARD


def test_another_address_of_a_tasks_image_says_nothing_about_the_task(project, label_studio):
    session = project(paths(1))
    embed_all(session)
    elsewhere = session.as_row(
        {"id": session.index.rows()[0].task, "data": {"image": label_studio.url + "/data/upload/1/gone.png"}}
    )
    assert embed(session, [elsewhere]) == 1
    assert session.index.counts()["unreadable"] == 0
    assert embedded(session) == [True]


def test_a_signed_link_of_which_the_index_has_only_a_part_is_asked_for_in_whole(project, label_studio):
    session = project([SIGNED.replace("{{}}", "aaa")])
    assert session.index.rows()[0].redacted
    embed_all(session)
    fetched = [request.query for request in label_studio.requests if request.path == "/data/upload/1/1.png"]
    assert fetched == [{"X-Amz-Date": "2026", "X-Amz-Signature": "aaa"}]
    assert embedded(session) == [True]


def test_a_renewed_link_is_used_as_it_is_now_and_keeps_its_embedding(project, label_studio):
    session = project([SIGNED.replace("{{}}", "old")], without=(1,))
    (task,) = label_studio.tasks.values()
    task["data"] = {"image": task["data"]["image"].replace("old", "new")}
    label_studio.files["/data/upload/1/1.png"] = png(1)
    embed_all(session)
    assert label_studio.requests[-1].query["X-Amz-Signature"] == "new"
    session.index.update([task], session.target)
    assert embedded(session) == [True]


def test_many_signed_links_are_asked_for_together(project, label_studio):
    session = project([SIGNED.replace("1.png", f"{n}.png").replace("{{}}", "a") for n in range(1, 81)])
    before = len(label_studio.requests)
    assert embed_all(session) == 80
    assert embedded(session) == [True] * 80
    asked = [request for request in label_studio.requests[before:] if re.fullmatch("/api/tasks/?", request.path)]
    assert len(asked) <= 4


def test_a_task_deleted_meanwhile_costs_itself_alone(project, label_studio):
    session = project([SIGNED.replace("1.png", f"{n}.png").replace("{{}}", "a") for n in (1, 2)])
    del label_studio.tasks[session.index.rows()[0].task]
    embed_all(session)
    assert embedded(session) == [False, True]
    assert "gone from Label Studio" in session.index.problems()[0].reason


def test_a_machine_without_the_arithmetic_of_a_data_dir_says_what_to_do(tmp_path, monkeypatch):
    def none(_):
        raise WeightsError("There is no bfloat16 here.")

    monkeypatch.setattr(embedding, "check_available", none)
    spec = BackboneSpec.of("resnet50", None, "bfloat16")
    with pytest.raises(WeightsError, match=rf"no bfloat16 here. Run .* or remove {tmp_path}/arithmetic.json"):
        get_backbone(spec, tmp_path / NETWORKS)


def test_weights_that_were_replaced_in_their_file_are_loaded_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding, "load_backbone", lambda spec, _: backbone_name(spec))
    file = tmp_path / "own.pth"
    spec = BackboneSpec.of("resnet50", file, "float32")
    loaded = []
    for weights in (b"before", b"afterwards"):
        file.write_bytes(weights)
        loaded.append(get_backbone(spec, tmp_path))
    assert loaded[0] != loaded[1]
    assert loaded[1] == backbone_name(spec)
