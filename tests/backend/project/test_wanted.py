"""Which base backbone a wish and the settings ask for."""

import pytest

from backend.project.wanted import wanted_base, wanted_bases

MINE = "mine.pth"


@pytest.fixture
def settings(make_settings, tmp_path):
    return make_settings(model_weights=tmp_path / MINE)


@pytest.mark.parametrize(
    ("wish", "file"), [("", MINE), ("resnet50", MINE), ("vgg16", None), ("resnet50=other.pth", "other.pth")]
)
def test_model_weights_are_of_the_network_that_backbone_names_alone(settings, wish, file):
    found = wanted_base(settings, wish, "float32").weights
    assert (found and found.name) == file


def test_several_are_asked_for_as_one_is(settings):
    bases = wanted_bases(settings, ("resnet50", "vgg16=own.pth"), "bfloat16")
    assert bases == {
        "resnet50": wanted_base(settings, "resnet50", "bfloat16"),
        "vgg16": wanted_base(settings, "vgg16=own.pth", "bfloat16"),
    }


def test_they_are_named_without_their_file_unless_two_are_of_one_network(settings):
    assert list(wanted_bases(settings, ("vgg16=a.pth", "vgg16=b.pth"), "float32")) == ["vgg16=a.pth", "vgg16=b.pth"]


def test_a_file_that_is_given_comes_before_the_setting_s(settings, tmp_path):
    assert wanted_bases(settings, ("resnet50",), "float32", tmp_path / "other.pth")["resnet50"].weights.name == "other.pth"
