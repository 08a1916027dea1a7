"""Which networks there are, by name, and what is said of names that are none."""

import subprocess
import sys

import pytest
from torchvision import models

from model.networks import network, of_torchvision
from model.networks.backbone import BackboneSpec, backbone_name
from model.networks.weights_file import WeightsError
from tests.conftest import ROOT

WIDTHS = {
    "alexnet": 4096,
    "convnext_tiny": 768,
    "densenet121": 1024,
    "efficientnet_b0": 1280,
    "googlenet": 1024,
    "inception_v3": 2048,
    "maxvit_t": 512,
    "mnasnet0_5": 1280,
    "mobilenet_v3_small": 1024,
    "regnet_y_400mf": 440,
    "resnet18": 512,
    "resnet50": 2048,
    "shufflenet_v2_x0_5": 1024,
    "squeezenet1_1": 512,
    "swin_t": 768,
    "vgg16": 4096,
    "vit_b_32": 768,
    "vit_h_14": 1280,
    "timm:convnext_atto": 320,
    "timm:mobilenetv3_small_100": 1024,
    "timm:tf_efficientnet_lite0": 1280,
    "timm:vit_base_patch16_clip_224.openai": 768,
    "timm:vit_base_patch16_siglip_224": 768,
    "timm:vit_small_patch14_dinov2.lvd142m": 384,
}


@pytest.mark.parametrize("name", WIDTHS)
def test_a_network_says_how_wide_its_embeddings_are(name):
    assert network(name).width == WIDTHS[name]


@pytest.mark.soak
@pytest.mark.parametrize("name", of_torchvision.names())
def test_every_classifier_of_torchvision_is_a_network(name):
    assert network(name).width > 0


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "alexnet"])
def test_what_is_known_of_a_network_without_torch_is_what_torchvision_says(name):
    known, found = network(name), of_torchvision.find(name)
    assert (known.width, known.weights, known.unneeded, known.tunable) == (
        found.width,
        found.weights,
        found.unneeded,
        found.tunable,
    )


def test_the_networks_of_the_specification_are_known_without_torch():
    code = "import sys; from model.networks import network\n"
    code += "for name in ('resnet50', 'vgg16', 'alexnet'): network(name)\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("name", ["regnet_y_400mf", "swin_t", "vgg16"])
def test_a_network_takes_no_memory_before_it_has_weights(name):
    assert {value.device.type for value in network(name).build().parameters()} == {"meta"}


FORK = """
import os, sys
from model.networks import network
for name in sys.argv[1:]:
    network(name)
child = os.fork()
if not child:
    import torch
    torch.conv2d(torch.zeros(8, 64, 64, 64), torch.zeros(64, 64, 3, 3))  # by several threads
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_process_that_asked_for_a_network_may_fork():
    """A tensor computed by several threads would leave the child waiting for threads that it does not have."""
    names = ["regnet_y_400mf", "timm:swin_tiny_patch4_window7_224"]
    subprocess.run([sys.executable, "-c", FORK, *names], check=True, cwd=ROOT, timeout=120)


@pytest.mark.parametrize(("name", "tunable"), [("resnet18", True), ("wide_resnet50_2", True), ("vgg16", False)])
def test_only_resnets_can_be_retrained(name, tunable):
    assert network(name).tunable == tunable


def test_weights_are_those_of_the_first_recipe_where_there_are_some():
    assert network("resnet101").weights == "imagenet1k_v1"
    assert network("vit_h_14").weights == models.get_model_weights("vit_h_14").DEFAULT.name.lower()


def test_timms_own_name_of_the_default_weights_is_part_of_the_backbones_name():
    spec = BackboneSpec.of("timm:vit_small_patch14_dinov2", None, "float32")
    assert backbone_name(spec) == "timm-vit_small_patch14_dinov2-lvd142m-resize518-crop518-bicubic-v1"


def test_a_file_is_named_after_the_network(tmp_path):
    (tmp_path / "own.pth").write_bytes(b"own")
    spec = BackboneSpec.of(f"timm:convnext_atto={tmp_path / 'own.pth'}", None, "float32")
    assert backbone_name(spec).startswith("timm-convnext_atto-")
    assert "/" not in backbone_name(spec)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet51", "There is no network 'resnet51': did you mean resnet50 or "),
        ("zzz", "There is no network 'zzz': take one of torchvision's, such as resnet50, or timm:NAME."),
        ("", "There is no network ''"),
        ("vit_small_patch14_dinov2", "did you mean timm:vit_small_patch14_dinov2?"),
        ("fasterrcnn_resnet50_fpn", "torchvision's fasterrcnn_resnet50_fpn is no classifier of images"),
        ("deeplabv3_resnet50", "is no classifier of images"),
        ("r3d_18", "is no classifier of images"),
        ("quantized_resnet50", "is no classifier of images"),
        (
            "timm:vit_smal_patch14_dinov2",
            "timm has no network 'vit_smal_patch14_dinov2': did you mean vit_small_patch14_dinov2 ",
        ),
        ("timm:resnet50.my_own", "timm has no network 'resnet50.my_own'"),
        ("timm:hf_hub:somebody/something", "timm has no network 'hf_hub:somebody/something'"),
        ("timm:qwen3_vit_88m_enc", "timm:qwen3_vit_88m_enc gives many vectors for an image"),
        ("timm:deepseek_vit_412m", "timm:deepseek_vit_412m wants images with a border, which are not made here"),
    ],
)
def test_a_name_that_is_no_network_is_an_error_with_the_next_step(name, said):
    with pytest.raises(WeightsError) as caught:
        network(name)
    assert said in str(caught.value)


def test_without_timm_its_networks_say_which_extra_they_need(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(WeightsError, match=r"timm:resnet18d needs timm: .*pip install 'label-studio-active-learning\[timm\]'"):
        network("timm:resnet18d")


def test_without_timm_near_names_are_torchvisions(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(WeightsError, match=r"did you mean resnet50 or"):
        network("resnet51")
