"""Which backbones a simulation embeds with."""

import pytest

from backend.settings import Settings
from backend.simulate.backbones import specs_of, standard_of


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path, model_weights=tmp_path / "mine.pth", _env_file=None)


def test_model_weights_are_those_of_the_setting_s_network_alone(settings):
    specs = specs_of(("resnet50", "vgg16"), None, settings)
    assert specs["resnet50"].weights == settings.model_weights
    assert specs["vgg16"].weights is None


def test_weights_that_are_asked_for_come_before_the_setting_s(settings, tmp_path):
    assert specs_of(("vgg16",), tmp_path / "other.pth", settings)["vgg16"].weights == tmp_path / "other.pth"


def test_networks_are_named_without_their_file_unless_two_are_the_same(settings):
    assert list(specs_of(("resnet50=a.pth", "vgg16=b.pth"), None, settings)) == ["resnet50", "vgg16"]
    assert list(specs_of(("vgg16=a.pth", "vgg16=b.pth"), None, settings)) == ["vgg16=a.pth", "vgg16=b.pth"]


def test_all_compute_in_the_arithmetic_of_data_dir(settings, tmp_path):
    (tmp_path / "arithmetic.json").write_text('{"arithmetic": "float32"}')
    assert {spec.arithmetic for spec in specs_of(("resnet50", "vgg16"), None, settings).values()} == {"float32"}


def test_the_standard_of_resnet50_is_the_centre_crop(settings):
    spec = specs_of(("resnet50",), None, settings)["resnet50"]
    assert (spec.preprocessing, standard_of(spec).preprocessing) == ("whole256-v1", "resize256-crop224-v1")


def test_a_network_with_its_library_s_preprocessing_is_its_own_standard(settings):
    spec = specs_of(("vgg16",), None, settings)["vgg16"]
    assert standard_of(spec) == spec
