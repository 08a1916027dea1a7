"""The model card of a project that is well measured, and whose names are odd."""

import numpy as np
import pytest
import yaml

from backend.export.card import Card, render_card
from backend.export.labelled import Answers
from backend.export.measured import Measured
from model.backbone_note import BackboneNote
from model.heads.head import Head
from model.version_store import Version

TITLE = 'Käfer: "30 %", {a} \U0001f41e\x7f\n---\n# end'
METRICS = {
    "n": 40, "effective": 40.0, "macro_f1": 0.91234, "interval": [0.85, 0.95], "per_class": [0.9, None], "accuracy": 0.925,
    "ece": 0.031, "enough": True, "unjudged": 0,
}  # fmt: skip


@pytest.fixture
def card():
    head = Head(np.zeros((2, 8), np.float32), np.zeros(2, np.float32), 0.8, np.array([30, 10]))
    labels = np.repeat([0, 1], [30, 10])
    target = {"classes": ["a|b", "`c`"]}
    version = Version("al-3-0a1b2c", 0.0, target, "resnet50-x", "bait+distinct", head, np.arange(40), labels, 50, METRICS)
    note = BackboneNote(preprocessing="whole256-v1", arithmetic="bfloat16", depth="last", base="resnet50-imagenet1k_v1")
    about = {
        "library": "torchvision", "network": "resnet50", "classifiers": ["fc"], "pooling": "whole and middle",
        "stride_in_1x1": [], "preprocessing": {"crop": None}, "classes": target["classes"], "unseen": [0.0, 0.0],
    }  # fmt: skip
    history = [{"name": "al-3-0a1b2c", "created": "2026-11-26T10:00:00", "labels": 40, "backbone": "resnet50-x"} | METRICS]
    return Card(1, TITLE, version, note, about, history, {"a|b": 31, "`c`": 10}, {"labelled": 41, "unreadable": 2})


def test_the_front_matter_holds_f1_with_its_interval(card):
    front = yaml.safe_load(render_card(card).split("---\n")[1])
    (model,) = front["model-index"]
    (metric,) = model["results"][0]["metrics"]
    assert model["name"].startswith('Käfer: "30 %", {a} \U0001f41e')
    assert metric == {"type": "f1", "value": 0.9123, "name": "macro F1 on 40 random slots, 95 % in 0.850 to 0.950"}


def test_a_title_and_a_class_are_no_markdown(card):
    lines = render_card(card).splitlines()
    assert [line for line in lines if line.startswith("# ")] == ['# Käfer: "30 %", {a} \U0001f41e  --- \\# end']
    assert "| a\\|b | 30 | 31 |" in lines


def test_the_metrics_are_told_with_interval_and_class_by_class(card):
    text = render_card(card)
    for said in (
        "Macro F1: 0.912 (0.850 to 0.950, 95 %) on 40 random slots.",
        "Each random slot was judged by a head that had not learned it (cross-fitting).",
        "Accuracy 0.925, expected calibration error 0.031.",
        "| a\\|b | 0.900 |",
        "| \\`c\\` | not among them |",
        "| al-3-0a1b2c | 2026-11-26 10:00:00 | 40 | 0.912 (0.850 to 0.950) | resnet50-x |",
        "its last stage retrained",
        "retrained on this project's labels",
    ):
        assert said in text


def test_figures_on_the_images_without_a_label_say_so(card):
    intervals = {"accuracy_interval": [0.87, 0.96], "per_class_intervals": [[0.8, 0.95], None], "unlabelled": True}
    card.version.metrics.update(intervals)
    try:
        text = render_card(card)
    finally:
        for name in intervals:
            del card.version.metrics[name]
    for said in (
        "macro F1 on the images without a label, by 40 random slots, 95 % in 0.850 to 0.950",
        "Macro F1: 0.912 (0.850 to 0.950, 95 %) on the images without a label, by 40 random slots.",
        "Accuracy 0.925 (0.870 to 0.960, 95 %), expected calibration error 0.031.",
        "| a\\|b | 0.900 (0.800 to 0.950) |",
    ):
        assert said in text


def test_what_is_not_known_is_said_to_be_so(card):
    text = render_card(card)
    assert "Annotators: not known" in text
    assert "was not measured: no image could be fetched" in text
    assert "model.onnx" not in text


def test_what_is_left_out_stands_in_it(card):
    card.left_out = ["model.onnx: it needs the extra"]
    card.answers, card.measured = Answers({}, {"7": 3}), Measured(0.0031, 2, [np.zeros(1), np.zeros(1)])
    text = render_card(card)
    assert "**Left out:** model.onnx: it needs the extra." in text
    assert "differs by at most 0.0031, and 2 of 2 have the same class" in text
