"""Whether a file can hold ResNet50's weights, without torch in the code that tells it."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torchvision.models import resnet50

from model.networks.weights_file import WeightsError, check_weights, resnet50_names
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def arrays():
    """A made-up array for each name; only that of layer1's second convolution has its true shape."""
    made = {name: np.zeros(1, np.float16) for name in resnet50_names()}
    return made | {"layer1.0.conv2.weight": np.zeros((64, 64, 3, 3), np.float16)}


def refused(path):
    with pytest.raises(WeightsError, match=rf"^MODEL_WEIGHTS={path} ") as caught:
        check_weights(path)
    return str(caught.value)


def test_the_names_are_those_of_torchvision():
    network = resnet50(weights=None).state_dict()
    counters = {name for name in network if name.endswith("num_batches_tracked")}
    assert resnet50_names() == set(network) - counters - {"fc.weight", "fc.bias"}


def test_the_shared_weights_are_fine(weights):
    check_weights(weights)


def test_safetensors_with_any_last_layer_are_fine(tmp_path, arrays):
    save_file(arrays | {"fc.weight": np.zeros((5, 2048), np.float16)}, tmp_path / "w.safetensors")
    check_weights(tmp_path / "w.safetensors")


@pytest.mark.parametrize("zipped", [True, False], ids=["today's", "old"])
def test_files_of_torch_save_are_fine(tmp_path, arrays, zipped):
    state = {name: torch.zeros(1) for name in arrays}
    torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    check_weights(tmp_path / "w.pth")


def test_another_network_is_named_by_what_it_lacks(tmp_path, arrays):
    state = {name: torch.zeros(1) for name in arrays if not name.startswith("layer4")}
    torch.save(state, tmp_path / "w.pth")
    assert "it lacks 50 of its 265 arrays, such as layer4.0.bn1.bias" in refused(tmp_path / "w.pth")


def test_a_wider_network_is_refused(tmp_path, arrays):
    wide = arrays | {"layer1.0.conv2.weight": np.zeros((128, 128, 3, 3), np.float16)}
    save_file(wide, tmp_path / "w.safetensors")
    assert "layer1.0.conv2.weight has shape [128, 128, 3, 3]" in refused(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("w.safetensors", b""),
        ("w.safetensors", b"<html>"),
        ("w.pth", b""),
        ("w.pth", b"<html>"),
        ("w.pth", b"PK\x03\x04cut off"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert "cannot be read" in refused(tmp_path / name)


def test_another_zip_file_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "did not write" in refused(tmp_path / "w.pth")


def test_no_file_and_a_folder_are_refused(tmp_path):
    assert "is no file" in refused(tmp_path / "nowhere.pth")
    assert "is no file" in refused(tmp_path)


def test_a_pickle_in_the_file_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"conv1.weight": Trap()}, tmp_path / "w.pth")
    assert "it lacks" in refused(tmp_path / "w.pth")
    assert not (tmp_path / "sprung").exists()


def test_of_other_networks_it_is_seen_that_the_file_can_be_read(tmp_path):
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "w.pth")
    check_weights(tmp_path / "w.pth", "vgg16")
    (tmp_path / "page.pth").write_bytes(b"<html>")
    with pytest.raises(WeightsError, match="cannot be read"):
        check_weights(tmp_path / "page.pth", "vgg16")
    with pytest.raises(WeightsError, match="set it to a state dict of vgg16"):
        check_weights(tmp_path / "nowhere.pth", "vgg16")


def test_it_does_without_torch():
    code = "import sys, model.networks.weights_file; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
