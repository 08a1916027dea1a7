"""Where a training run takes its images from: photos, augmented anew in each epoch, or cached features of them."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from model.photos import Augmentation, plain
from model.storage.files import write_atomically
from model.training import Rows, autocast

BATCH = 16  # photos at once where nothing is learned
READERS = 4

Report = Callable[[str, int, int], None]


class PhotoInputs:
    """Photos on disk, one path a row. Crops for training are `crop` pixels wide."""

    def __init__(self, paths: Sequence[Path], crop: int, seed: int) -> None:
        self._paths = list(paths)
        self._augment = Augmentation(crop)
        self._seed = seed

    def augmented(self, rows: Rows, epoch: int, batch: int) -> Iterator[torch.Tensor]:
        """Batches of `rows` in guises that depend on seed and epoch alone; the next one is made while one is used."""
        batches = [rows[start : start + batch] for start in range(0, len(rows), batch)]
        seed = int(np.random.SeedSequence([self._seed, epoch]).generate_state(1, np.uint64)[0])
        random = torch.Generator().manual_seed(seed)
        with ThreadPoolExecutor(1) as maker:
            waiting: deque[Future[torch.Tensor]] = deque()
            for chosen in batches:
                waiting.append(maker.submit(self._batch, chosen, random))
                if len(waiting) > 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _batch(self, rows: Rows, random: torch.Generator) -> torch.Tensor:
        return _stack([self._augment(self._paths[row], random) for row in rows])

    def plain(self, rows: Rows) -> Iterator[torch.Tensor]:
        """Batches of `rows` as a run is judged by."""
        with ThreadPoolExecutor(READERS) as readers:
            for start in range(0, len(rows), BATCH):
                yield _stack(list(readers.map(plain, [self._paths[row] for row in rows[start : start + BATCH]])))

    def __len__(self) -> int:
        return len(self._paths)


class FeatureInputs:
    """Features of n photos, float16 (n, height, width, channels), which `cache_features` makes: plain ones, and those of
    guises."""

    def __init__(self, plain: np.ndarray, views: Sequence[np.ndarray], seed: int) -> None:
        self._plain, self._views, self._seed = plain, views, seed

    def augmented(self, rows: Rows, epoch: int, batch: int) -> Iterator[torch.Tensor]:
        """Batches of `rows`, each in one of its guises, mirrored or not: drawn by seed and epoch alone."""
        random = np.random.default_rng([self._seed, epoch, 1])
        views = random.integers(len(self._views), size=len(rows))
        mirrored = random.random(len(rows)) < 0.5
        for start in range(0, len(rows), batch):
            chosen = range(start, min(start + batch, len(rows)))
            yield _features([self._views[views[i]][rows[i]][:, :: -1 if mirrored[i] else 1] for i in chosen])

    def plain(self, rows: Rows) -> Iterator[torch.Tensor]:
        """Batches of `rows` as a run is judged by."""
        for start in range(0, len(rows), BATCH):
            yield _features([self._plain[row] for row in rows[start : start + BATCH]])


def cache_features(
    photos: PhotoInputs, front: nn.Module, folder: Path, views: int, most_bytes: float, seed: int, report: Report
) -> FeatureInputs:
    """What the stages `front` make of photos: plainly, and in up to `views` guises, as many as `most_bytes` hold, kept in
    `folder`.

    It takes minutes; a guise that a killed run has finished is not made again. report: told the step, photos done and their
    total.
    """
    every, made = np.arange(len(photos)), 0

    def cache(name: str, batches: Callable[[], Iterator[torch.Tensor]]) -> np.ndarray:
        nonlocal made
        path = folder / f"{name}.npy"
        if not path.exists():
            write_atomically(path, lambda beside: _fill(beside, len(photos), front, batches(), counted))
        made += len(photos)
        return np.load(path, mmap_mode="r")

    def counted(done: int) -> None:
        report("preparing features", made + done, len(photos) * (1 + views))

    plain = cache("plain", lambda: photos.plain(every))
    guises: list[np.ndarray] = []
    for view in range(views):
        guises.append(cache(f"view-{view}", partial(photos.augmented, every, view, BATCH)))
        if plain.nbytes + (view + 2) * guises[0].nbytes > most_bytes:
            break
    return FeatureInputs(plain, guises, seed)


def _fill(path: Path, n: int, front: nn.Module, batches: Iterator[torch.Tensor], report: Callable[[int], None]) -> None:
    """Write the features of `n` photos as a .npy of shape (n, height, width, channels)."""
    device = next(front.parameters()).device
    done, target = 0, None
    for batch in batches:
        with torch.inference_mode(), autocast(device):
            values = front(batch.to(device)).permute(0, 2, 3, 1).to(torch.float16).cpu().numpy()
        if target is None:
            target = np.lib.format.open_memmap(path, "w+", np.float16, (n, *values.shape[1:]))
        target[done : done + len(values)] = values
        done += len(values)
        report(done)
    if target is not None:
        target.flush()


def _stack(images: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(images).contiguous(memory_format=torch.channels_last)


def _features(values: list[np.ndarray]) -> torch.Tensor:
    """float32 of shape (N, C, H, W) from float16 (H, W, C) each, channels last in memory."""
    return torch.from_numpy(np.stack(values).astype(np.float32)).permute(0, 3, 1, 2)
