"""Whether a file can hold a network's weights, told from the names in it in milliseconds: no torch, no unpickling."""

import pickletools
import zipfile
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open

BLOCKS = {1: 3, 2: 4, 3: 6, 4: 3}  # ResNet50's layers, and how many blocks each has
WIDTH = [64, 64, 3, 3]  # of layer1's second convolution; wider networks have the same names
TORCH_ZIP, TORCH_LEGACY = b"PK", b"\x80\x02\x8a\nl\xfc\x9cF\xf9"  # how files of torch.save begin


class WeightsError(RuntimeError):
    """A network or weights that cannot be had or do not fit; the message says what to set."""


def check_weights(path: Path, network: str = "resnet50") -> None:
    """Raise WeightsError where `path` cannot be a state dict of `network` (.safetensors or .pth). Its last layer may be any.

    Which arrays other networks than ResNet50 have, only their libraries know, and those bring torch: of their files it is seen
    that they can be read.
    """
    if not path.is_file():
        raise WeightsError(f"MODEL_WEIGHTS={path} is no file: set it to a state dict of {network} (.safetensors or .pth)")
    try:
        names = _in_safetensors(path) if path.suffix == ".safetensors" else _in_torch_file(path)
        if network != "resnet50":
            return
        _check_width(path, names)
    except (OSError, SafetensorError, ValueError, LookupError, zipfile.BadZipFile) as error:
        raise WeightsError(f"MODEL_WEIGHTS={path} cannot be read: {error}") from error
    prefix = prefix_of(names, resnet50_names())
    names = {name.removeprefix(prefix) for name in names}
    if missing := sorted(resnet50_names() - names) if names else []:
        raise WeightsError(
            f"MODEL_WEIGHTS={path} is not a torchvision ResNet50 state dict: it lacks {len(missing)} of its "
            f"{len(resnet50_names())} arrays, such as {missing[0]}."
        )


def resnet50_names() -> set[str]:
    """The arrays that a state dict of torchvision's ResNet50 holds, but those of its last layer."""
    names = {"conv1.weight", *_norm("bn1")}
    for layer, blocks in BLOCKS.items():
        for block in range(blocks):
            at = f"layer{layer}.{block}"
            for number in (1, 2, 3):
                names |= {f"{at}.conv{number}.weight", *_norm(f"{at}.bn{number}")}
            if block == 0:
                names |= {f"{at}.downsample.0.weight", *_norm(f"{at}.downsample.1")}
    return names


def prefix_of(names: Iterable[str], wanted: Iterable[str]) -> str:
    """What stands before the names that are `wanted`, as `module.` or `backbone.` where a network was trained as a part of
    another: of all beginnings the one that most of them have, the shortest of several."""
    names, wanted = set(names), set(wanted)
    for longest in sorted(wanted, key=len, reverse=True):
        found = [name.removesuffix(longest) for name in names if name.endswith(longest)]
        if found := [prefix for prefix in found if not prefix or prefix.endswith(".")]:
            return max(found, key=lambda prefix: (sum(prefix + name in names for name in wanted), -len(prefix), prefix))
    return ""


def _norm(name: str) -> set[str]:
    return {f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")}


def _in_safetensors(path: Path) -> set[str]:
    with safe_open(path, "np") as file:
        return set(file.keys())


def _check_width(path: Path, names: set[str]) -> None:
    """Raise ValueError where a safetensors file holds a network that is wider than ResNet50 and has the same names."""
    name = prefix_of(names, resnet50_names()) + "layer1.0.conv2.weight"
    if path.suffix == ".safetensors" and name in names:
        with safe_open(path, "np") as file:
            shape = list(file.get_slice(name).get_shape())
        if shape != WIDTH:
            raise ValueError(f"{name} has shape {shape}, ResNet50's has {WIDTH}")


def _in_torch_file(path: Path) -> set[str]:
    """Every text in the file's pickle, which is read and not run; nothing for files of old versions of torch.save."""
    with path.open("rb") as file:
        start = file.read(len(TORCH_LEGACY))
    if start == TORCH_LEGACY:
        return set()
    if not start.startswith(TORCH_ZIP):
        raise ValueError("it is neither a safetensors file (name it .safetensors) nor one that torch.save wrote")
    with zipfile.ZipFile(path) as archive:
        pickle = next((name for name in archive.namelist() if name.endswith("data.pkl")), None)
        if pickle is None:
            raise ValueError("it is a zip file that torch.save did not write")
        return {text for _, text, _ in pickletools.genops(archive.read(pickle)) if isinstance(text, str)}
