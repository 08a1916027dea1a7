"""In which numbers networks compute: as fast as this machine can. Embeddings of two arithmetics are not quite the same, so the
name of a backbone says which, and a DATA_DIR keeps to the one that it began with."""

import sys
import threading
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model.networks.weights_file import WeightsError
from model.storage.files import sync

if TYPE_CHECKING:
    from torch import nn

FLOAT32, BFLOAT16 = "float32", "bfloat16"  # by OpenVINO on a processor
FLOAT16 = "float16"  # by torch on a GPU
ARITHMETICS = (FLOAT32, BFLOAT16, FLOAT16)
_PRECISION = {FLOAT32: "f32", BFLOAT16: "bf16"}

PROCESSOR_BATCH, GPU_BATCH = 8, 64  # images at once: more do not fit a processor's cache, fewer do not fill a GPU
STREAMS = 2  # batches at once

_first_inference = threading.Lock()  # held while a network is loaded and tried

Forward = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # images (N, H, W, 3) of one shape -> embeddings (N, D)


@cache
def fastest() -> str:
    """The arithmetic that suits this machine: float16 where torch sees a GPU, bfloat16 where the processor computes in it."""
    import torch

    if torch.cuda.is_available():
        return FLOAT16
    return BFLOAT16 if _has_bfloat16() else FLOAT32


def check_available(arithmetic: str) -> None:
    """Raise WeightsError where this machine cannot compute in `arithmetic`."""
    if arithmetic not in ARITHMETICS:
        raise WeightsError(f"There is no arithmetic {arithmetic!r}; there are {', '.join(ARITHMETICS)}.")
    if arithmetic == FLOAT16:
        import torch

        if not torch.cuda.is_available():
            raise WeightsError("Embeddings here are made in float16 on a GPU, and torch sees none on this machine.")
    elif arithmetic == BFLOAT16 and not _has_bfloat16():
        raise WeightsError("Embeddings here are made in bfloat16, in which this machine's processor does not compute.")


def forward(arithmetic: str, make: "Callable[[], nn.Module]", example: tuple[int, int], kept: Path | None) -> Forward:
    """The network that `make` gives, from uint8 images (N, H, W, 3) to float32 embeddings (N, D), in `arithmetic`.

    example: (H, W) of images it takes; kept: a file name without suffix beside which the converted network is kept, so that
    the next process has it in a tenth of the time and without torch. Raises WeightsError.
    """
    check_available(arithmetic)
    if arithmetic == FLOAT16:
        import torch

        return on_torch(make(), torch.device("cuda"), torch.float16)
    return _on_openvino(_PRECISION[arithmetic], make, example, kept)


def on_torch(network: "nn.Module", device: Any, dtype: Any) -> Forward:
    """`network` by torch on `device`, its weights in `dtype`."""
    import torch

    network = network.eval().to(device, dtype).to(memory_format=torch.channels_last)

    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        batch = torch.from_numpy(np.require(images, requirements=("C", "W")))
        if device.type == "cuda":
            batch = batch.pin_memory().to(device, non_blocking=True)
        with torch.inference_mode():
            return network(batch).float().cpu().numpy()

    return run


def _on_openvino(precision: str, make: "Callable[[], nn.Module]", example: tuple[int, int], kept: Path | None) -> Forward:
    openvino = _openvino()
    core = openvino.Core()
    requests = threading.local()  # one a thread: a request holds the images and embeddings of one batch

    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        if not hasattr(requests, "own"):
            requests.own = compiled.create_infer_request()
        return requests.own.infer([np.ascontiguousarray(images)])[0].copy()

    # The first inference of a process makes OpenVINO's bindings take up numpy. Of two threads that come to that at once, one
    # waits for the other's initialisation while it holds Python's global lock, which the other waits for: both wait for ever.
    with _first_inference:
        model = _read(core, kept) if kept else None
        if model is None:
            model = _converted(make(), example)
            if kept:
                _keep(openvino, model, kept)
        compiled = _compiled(core, model, precision)
        run(np.zeros((1, *example, 3), np.uint8))
    return run


def _compiled(core: Any, model: Any, precision: str) -> Any:
    """`model` for STREAMS batches at once, between which all cores are shared out: OpenVINO by itself would see to one a core,
    and leave those idle that no batch comes for. A batch waits for no thread of another's."""
    options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": STREAMS}
    return core.compile_model(model, "CPU", options)


def _read(core: Any, kept: Path) -> Any:
    """The network that was converted before; None where there is none that can be read."""
    try:
        return core.read_model(kept.with_name(kept.name + ".xml"), kept.with_name(kept.name + ".bin"))
    except RuntimeError:
        return None


def _keep(openvino: Any, model: Any, kept: Path) -> None:
    """Write the converted network as two files beside `kept`, the one that is asked for last."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{kept.name}.", dir=kept.parent) as folder:
        openvino.save_model(model, Path(folder, f"{kept.name}.xml"), compress_to_fp16=False)
        for suffix in (".bin", ".xml"):
            made = Path(folder, kept.name + suffix)
            sync(made)
            made.replace(kept.with_name(made.name))
    sync(kept.parent)


def _converted(network: "nn.Module", example: tuple[int, int]) -> Any:
    """`network` as OpenVINO's graph, for images of any number and size."""
    import torch

    openvino = _openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    frontend = FrontEndManager().load_by_framework("pytorch")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch.jit.trace, by which OpenVINO reads a network
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # of checks that a network makes of its images' size
        images = torch.zeros(1, *example, 3, dtype=torch.uint8)
        decoder = TorchScriptPythonDecoder(network.eval(), example_input=images, trace_kwargs={"check_trace": False})
        model = frontend.convert(frontend.load(decoder))
    model.reshape({0: openvino.PartialShape([-1, -1, -1, 3])})
    return model


def _has_bfloat16() -> bool:
    return "BF16" in _openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _openvino() -> Any:
    """OpenVINO without its telemetry, which then cannot even be imported."""
    modules: dict[str, Any] = sys.modules
    modules.setdefault("openvino_telemetry", None)  # which Python takes for "there is none"
    import openvino

    return openvino
