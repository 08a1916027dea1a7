"""Class probabilities of photos, by model.json and model.safetensors beside this file: python predict.py PHOTO...
It takes torch, torchvision, pillow and safetensors alone; for networks of timm's also timm."""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import torchvision
from PIL import Image, ImageOps
from safetensors.torch import load_file
from torch.nn.functional import linear, normalize
from torchvision.transforms.v2.functional import center_crop, pil_to_tensor


class Pooling(torch.nn.Module):  # the mean of all cells and that of the middle 7 x 7, where a centre crop looks, weigh the same
    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        middle, spare = cells, [side - 7 for side in cells.shape[2:]]
        for low, high in ((side // 2, (side + 1) // 2) for side in spare):  # of rows, then of columns
            middle = (middle.narrow(2, low, 7).mean(2) + middle.narrow(2, high, 7).mean(2)) / 2
        return normalize(cells.mean((2, 3)), dim=1) + normalize(middle, dim=1)


class Classifier(torch.nn.Module):  # pixels, uint8 (N, H, W, 3) -> the probabilities of C classes, float32 (N, C)
    def __init__(self, about: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
        super().__init__()
        library = __import__("timm").create_model if about["library"] == "timm" else torchvision.models.get_model
        self.independent = about["independent"]  # whether an image may be of several classes or of none
        self.network: Any = library(about["network"], **about["options"])
        self.network.load_state_dict(state)
        self.last: Any = self.network.get_submodule(about["classifiers"][0])
        for name in about["classifiers"]:  # what they are fed becomes a vector of length 1 first, which no library does
            self.network.set_submodule(name, torch.nn.Identity())
        if about["pooling"] == "whole and middle":
            self.network.avgpool = Pooling()
        for block in [self.network.get_submodule(name) for name in about["stride_in_1x1"]]:
            block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)
        colours = (255 * torch.tensor(about["preprocessing"][name]).view(1, 3, 1, 1) for name in ("mean", "std"))
        self.mean, self.std, self.unseen = map(torch.nn.Buffer, (*colours, torch.tensor(about["unseen"])))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = normalize(self.network((pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std), dim=1)
        logits = linear(features, self.last.weight.flatten(1), self.last.bias)
        if self.independent:
            return logits.sigmoid()
        return logits.softmax(1) * (1 - self.unseen.sum()) + self.unseen


def read(file: Any, how: dict[str, Any]) -> torch.Tensor:  # a photo as the network takes it, uint8 (H, W, 3)
    image: Any = Image.open(file)
    image.draft("RGB", (how["least_side"], how["least_side"]))
    image = ImageOps.exif_transpose(image).convert("RGBA" if image.has_transparency_data else "RGB")
    photo = Image.new("RGB", image.size, "white")
    photo.paste(image, mask=image if image.mode == "RGBA" else None)
    sides = [min(side, (how["longest"] or max(photo.size)) * min(photo.size)) for side in photo.size]  # ends are left out
    left, top = ((whole - side) // 2 for whole, side in zip(photo.size, sides, strict=True))
    size, step = how["resize"], how["step"]  # of the shorter side, or of both
    if isinstance(size, int):
        size = [step * (round if step > 1 else int)(size * side / min(sides) / step) for side in sides]
    box, filtering = (left, top, left + sides[0], top + sides[1]), Image.Resampling[how["interpolation"].upper()]
    photo = photo.resize(size, filtering, box=box, reducing_gap=how["reducing_gap"])
    return pil_to_tensor(center_crop(photo, how["crop"] or [size[1], size[0]])).permute(1, 2, 0)


if __name__ == "__main__":
    here = Path(__file__).parent
    about = json.loads((here / "model.json").read_text())
    classifier = Classifier(about, load_file(here / "model.safetensors")).eval()
    for file in sys.argv[1:]:
        with torch.inference_mode():
            (found,) = classifier(read(file, about["preprocessing"])[None]).tolist()
        print(file, {name: round(value, 4) for name, value in zip(about["classes"], found, strict=True)})
