"""The same network as an ONNX file, from pixels to probabilities, held against torch. It takes the extra `export`."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model.networks.weights_file import WeightsError
from model.plain.network import Plain

CLOSE = 1e-4  # of two probabilities, which torch and onnxruntime compute in another order
INPUT, OUTPUT = "pixels", "probabilities"


class OnnxUnavailable(WeightsError):
    """ONNX cannot be written here; the message says what is missing, or what failed."""


def write_onnx(plain: Plain, images: list[NDArray[np.uint8]], path: Path) -> float:
    """Write `plain` to `path`: uint8 pixels (N, H, W, 3) as `predict.py` reads them -> float32 probabilities (N, C).

    N is free; so are H and W of a network that takes whole images. images: what both are tried on, each (H, W, 3). Returns by
    how much their probabilities differ at most. Raises OnnxUnavailable where the extra is missing, or they differ by CLOSE.
    """
    runtime = _runtime()
    free = {0: "images"} | ({} if plain.about["preprocessing"]["crop"] else {1: "height", 2: "width"})
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # torch's newer way takes ten times as long and another package; of traces: checks of sizes
        try:
            torch.onnx.export(
                plain.classifier,
                (torch.from_numpy(np.stack([images[0]] * 2)),),
                path,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes={INPUT: free, OUTPUT: {0: "images"}},
                dynamo=False,
            )
        except Exception as error:
            raise OnnxUnavailable(f"torch cannot write {plain.about['network']} as ONNX: {str(error)[:300]}") from error
    difference = _difference(runtime.InferenceSession(path, providers=["CPUExecutionProvider"]), plain, images)
    if not difference < CLOSE:
        path.unlink()
        raise OnnxUnavailable(f"its probabilities would differ from torch's by {difference:.2g}")
    return difference


def _runtime() -> Any:
    try:
        import onnx  # noqa: F401  torch needs it
        import onnxruntime
    except ImportError as error:
        raise OnnxUnavailable("it needs the extra: pip install 'label-studio-active-learning[export]'") from error
    return onnxruntime


def _difference(session: Any, plain: Plain, images: list[NDArray[np.uint8]]) -> float:
    largest = 0.0
    for image in images:
        with torch.inference_mode():
            expected = plain.classifier(torch.from_numpy(image[None])).numpy()
        largest = max(largest, float(np.abs(session.run([OUTPUT], {INPUT: image[None]})[0] - expected).max()))
    return largest
