"""In which numbers networks compute: all say nearly the same, none speaks to anyone, and what was converted is kept."""

import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from model.embeddings.images import decode
from model.networks import arithmetic
from model.networks.arithmetic import BFLOAT16, FLOAT16, FLOAT32, check_available, fastest, on_torch
from model.networks.backbone import backbone_name, load_backbone
from model.networks.torch_backbone import Embedder
from model.networks.weights_file import WeightsError
from tests.conftest import ROOT
from tests.model.made_up import resnet50


@pytest.fixture(scope="module")
def kept(networks):
    """The folder in which the networks of this module's tests are kept."""
    return networks


@pytest.fixture(scope="module")
def by_float32(weights, kept):
    return load_backbone(resnet50(weights, FLOAT32), kept)


@pytest.fixture(scope="module")
def photos(shared, by_float32):
    """Four photos as the network takes them, of which each has its own shape or not."""
    files = sorted((shared / "data" / "hymenoptera" / "bees").glob("*.jpg"))[:4]
    return [by_float32.prepare(decode(path.read_bytes(), 10**8))[None] for path in files]


def likeness(ours, theirs, photos):
    """The least cosine between the embeddings that two ways give of the same photos."""
    return min(float((ours(photo) * theirs(photo)).sum()) for photo in photos)


def test_float32_says_what_torch_says(weights, by_float32, photos):
    by_torch = on_torch(Embedder(resnet50(weights, FLOAT32)), torch.device("cpu"), torch.float32)
    assert likeness(by_float32.embed, by_torch, photos) > 0.99999


def test_bfloat16_says_nearly_the_same(weights, by_float32, photos, kept):
    if fastest() != BFLOAT16:
        pytest.skip("this processor does not compute in bfloat16")
    by_bfloat16 = load_backbone(resnet50(weights, BFLOAT16), kept)
    assert 0.999 < likeness(by_bfloat16.embed, by_float32.embed, photos) < 0.9999999


def test_the_name_says_the_arithmetic_unless_it_is_float32(weights):
    names = {spec.arithmetic: spec for spec in (resnet50(weights, each) for each in (FLOAT32, BFLOAT16, FLOAT16))}
    ends = [backbone_name(spec).rpartition("-")[2] for spec in names.values()]
    assert ends == ["v1", "bfloat16", "float16"]


def test_a_network_that_was_kept_is_there_without_torch_and_says_the_same(by_float32, photos, kept, weights, tmp_path):
    np.save(tmp_path / "photo.npy", photos[0])
    code = f"""
import sys
from pathlib import Path
import numpy as np
from model.networks.backbone import BackboneSpec, load_backbone
spec = BackboneSpec.of("resnet50", Path({str(weights)!r}), "float32")
values = load_backbone(spec, Path({str(kept)!r})).embed(np.load({str(tmp_path / "photo.npy")!r}))
np.save({str(tmp_path / "values.npy")!r}, values)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert np.load(tmp_path / "values.npy") == pytest.approx(by_float32.embed(photos[0]), abs=1e-4)


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
def test_a_kept_network_that_is_damaged_is_made_anew(weights, by_float32, photos, kept, tmp_path, suffix):
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    (file,) = tmp_path.glob(f"*{suffix}")
    file.write_bytes(file.read_bytes()[:1000])
    again = load_backbone(resnet50(weights, FLOAT32), tmp_path)
    assert likeness(again.embed, by_float32.embed, photos[:1]) > 0.99999


def test_the_batches_that_come_at_once_share_all_cores(monkeypatch):
    monkeypatch.setattr(arithmetic, "STREAMS", 1)
    core = arithmetic._openvino().Core()
    compiled = arithmetic._compiled(core, arithmetic._converted(torch.nn.Flatten(), (8, 8)), "f32")
    assert compiled.get_property("NUM_STREAMS") == 1, "by itself OpenVINO takes as many as there are cores"


class Watched:
    """A compiled network that tells which threads have asked it."""

    def __init__(self, compiled):
        self._compiled, self.askers = compiled, []

    def create_infer_request(self):
        request = self._compiled.create_infer_request()

        def infer(inputs):
            self.askers.append(threading.get_ident())
            return request.infer(inputs)

        return SimpleNamespace(infer=infer)


def test_a_network_was_asked_by_one_thread_before_several_may(weights, kept, monkeypatch):
    watched, compiled = [], arithmetic._compiled

    def watch(*about):
        watched.append(Watched(compiled(*about)))
        return watched[0]

    monkeypatch.setattr(arithmetic, "_compiled", watch)
    load_backbone(resnet50(weights, FLOAT32), kept)
    assert watched[0].askers == [threading.get_ident()]


def test_networks_are_loaded_one_at_a_time(weights, kept, monkeypatch):
    inside, most, compiled = [], [], arithmetic._compiled

    def watch(*about):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.2)
        made = compiled(*about)
        inside.pop()
        return made

    monkeypatch.setattr(arithmetic, "_compiled", watch)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: load_backbone(resnet50(weights, FLOAT32), kept), range(2)))
    assert most == [1, 1]


def test_openvinos_telemetry_cannot_even_be_imported():
    code = """
import sys
from model.networks.arithmetic import fastest
fastest()
assert sys.modules["openvino_telemetry"] is None
import openvino.tools.ovc.telemetry_utils as utils
assert utils.tm.__name__.endswith("telemetry_stub")
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_an_arithmetic_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(WeightsError, match="'int3'; there are float32, bfloat16, float16"):
        check_available("int3")


@pytest.mark.parametrize(("lacking", "why"), [(BFLOAT16, "bfloat16, in which"), (FLOAT16, "float16 on a GPU, and torch sees")])
def test_an_arithmetic_that_this_machine_has_not_is_refused(monkeypatch, lacking, why):
    monkeypatch.setattr(arithmetic, "_has_bfloat16", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(WeightsError, match=why):
        check_available(lacking)


def test_a_gpu_is_taken_where_torch_sees_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert fastest.__wrapped__() == FLOAT16
