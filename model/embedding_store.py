"""The store of embeddings: immutable shards that any worker may add without a lock.

A shard is a safetensors file with `keys`, int64 of shape (n,), and `embeddings`, float16 of shape (n, D). A key stands for
one image of one task. A shard that is gone or broken, or a row that is not finite, only means that images are embedded again.
"""

import hashlib
import logging
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from model.embedding_shard import DAMAGED, ShardError, finite_rows, read_keys, read_parts
from model.files import write_atomically

log = logging.getLogger(__name__)
COMPACT_ABOVE = 64  # shards in a store before `compact` merges the small ones
SMALL = 1024  # rows

# Parts of a link's query that say who may read and until when. They are others whenever the link is renewed.
SIGNED = re.compile(
    r"x-(amz|goog|oss|cos)-.+|x-[a-z]+-(algorithm|credential|date|expires|security-token|signature|signed-?headers)"
    r"|q-(sign|ak|key|header|url)-?.*|((access|auth|security|sas)[-_]?)?token|signature|sig|hmac|jwt"
    r"|temp_url_sig|hdn[a-z]+|__token__|authorization|auth_key|tempauth|(tx|ws)secret|verify|_upt"
)
# These do beside the time until which the link holds, as in nginx's secure links; alone they may be anything.
SIGNED_UNTIL = re.compile(r"md5|hash|sign|hm|oh")
UNTIL = re.compile(r"expires?|expiry|exp|ex|e|t|oe")
# These only say so beside one of those: alone they may be anything.
BESIDE = re.compile(
    r"expires?|expiry|exp|e|policy|key-pair-id|keyname|urlprefix|hash-algorithm|(aws|oss|kss)?accesskeyid|googleaccessid"
    r"|token_path|(tx|ws)time|temp_url_expires|s[vprestio]|ss|srt|spr|sip|sdd|ses|sk(oid|tid|t|e|s|v)|s[au]oid|scid"
)


def embedding_key(task: int, reference: str) -> int:
    """The key of a task's image: 63 bits of a hash, so that a task whose image changes is embedded anew.

    A signed link that was renewed is the same image: who may read it and until when is no part of the key.
    """
    named = f"{task}\0{unsigned(reference)}".encode(errors="backslashreplace")
    return int.from_bytes(hashlib.blake2b(named, digest_size=8).digest(), "big") >> 1


def unsigned(reference: str) -> str:
    """`reference` without the signature of a signed link (S3, Google, Azure, CloudFront and their like); else as it is."""
    if not re.match("https?://", reference, re.IGNORECASE):
        return reference
    link, hash_, fragment = reference.partition("#")
    path, _, query = link.partition("?")
    parts = query.split("&")
    names = [unquote(part.split("=")[0]).lower() for part in parts]
    until = [name for name in names if UNTIL.fullmatch(name)]
    if until and (signed := [name for name in names if SIGNED_UNTIL.fullmatch(name)]):
        dropped = {*until, *signed, "is"}  # the last is Discord's: from when on the link holds
    elif any(SIGNED.fullmatch(name) for name in names):
        dropped = set()
    else:
        return reference
    dropped |= {name for name in names if SIGNED.fullmatch(name) or BESIDE.fullmatch(name)}
    kept = "&".join(part for part, name in zip(parts, names, strict=True) if name not in dropped)
    return path + ("?" + kept if kept else "") + hash_ + fragment


class EmbeddingStore:
    """The embeddings of one project under one backbone, in `folder`."""

    def __init__(self, folder: Path, dimensions: int) -> None:
        self.folder = folder
        self.dimensions = dimensions
        self._rows: dict[int, tuple[Path, int]] = {}
        self._read: set[Path] = set()

    def add(self, keys: Sequence[int], embeddings: NDArray[np.floating]) -> None:
        """Write one shard of `embeddings`, finite, of shape (len(keys), D), rounded to float16."""
        if len(keys) != len(embeddings) or embeddings.shape[1:] != (self.dimensions,):
            raise ValueError(f"{len(keys)} keys do not fit embeddings of shape {embeddings.shape}")
        if not keys:
            return
        tensors: dict[str, NDArray] = {
            "keys": np.asarray(keys, np.int64),
            "embeddings": np.ascontiguousarray(embeddings, np.float16),
        }
        shard = self.folder / f"{uuid.uuid4().hex}.safetensors"
        write_atomically(shard, lambda beside: save_file(tensors, beside))

    def refresh(self) -> None:
        """Take note of shards that were added or removed since the last call."""
        shards = set(self.folder.glob("[!.]*.safetensors"))
        if self._read - shards:
            self._rows, self._read = {}, set()
        for shard in sorted(shards - self._read):
            try:
                keys = read_keys(shard, self.dimensions)
            except (ShardError, OSError) as error:
                self._drop(shard, error)
                continue
            self._read.add(shard)
            self._rows.update((key, (shard, row)) for row, key in enumerate(keys.tolist()) if key != DAMAGED)
            if damaged := int((keys == DAMAGED).sum()):
                self._say_once(shard, f"{damaged} of its embeddings are not finite: their images will be embedded again")

    def missing(self, keys: Sequence[int]) -> list[int]:
        """Those of `keys` that have no embedding yet, in their order."""
        return [key for key in keys if key not in self._rows]

    def get(self, keys: Sequence[int]) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
        """The embeddings of `keys` as (values, found).

        values: float16 of shape (len(keys), D), zeros where not found; found: bool of shape (len(keys),).
        """
        values = np.zeros((len(keys), self.dimensions), np.float16)
        found = np.zeros(len(keys), bool)
        for positions, embeddings in self.parts(keys):
            values[positions], found[positions] = embeddings, True
        return values, found

    def parts(self, keys: Sequence[int]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """The embeddings of `keys` in parts as they lie on disk, so that a large pool is never in memory as a whole.

        Each part is (positions in `keys`, int64 of shape (n,); embeddings, float16 of shape (n, D), not to be written to). Keys
        without an embedding are in none.
        """
        left = np.ones(len(keys), bool)
        for _ in range(2):
            whole = True
            for shard, positions, rows in self._places(keys, np.flatnonzero(left).tolist()):
                try:
                    for where, read in read_parts(shard, rows, self.dimensions):
                        into, finite = positions[where], finite_rows(read)
                        left[into] = False
                        for position in into[~finite].tolist():  # damaged since the shard was looked at
                            self._rows.pop(keys[position], None)
                        yield (into, read) if finite.all() else (into[finite], read[finite])  # to choose would copy them all
                except (ShardError, OSError) as error:
                    self._drop(shard, error)
                    whole = False
            if whole:
                return
            self.refresh()  # another process merged shards meanwhile

    def _places(self, keys: Sequence[int], positions: Sequence[int]) -> list[tuple[Path, NDArray[np.int64], NDArray[np.int64]]]:
        """Where the embeddings of the keys at `positions` lie: of each shard those positions, and the rows."""
        by_shard: dict[Path, list[tuple[int, int]]] = {}
        for position in positions:
            if keys[position] in self._rows:
                shard, row = self._rows[keys[position]]
                by_shard.setdefault(shard, []).append((position, row))
        return [(shard, *np.array(pairs, np.int64).T) for shard, pairs in by_shard.items()]

    def compact(self) -> None:
        """Merge small shards once there are many, so that a year of single images stays quick to read."""
        self.refresh()
        sizes: dict[Path, list[int]] = {shard: [] for shard in self._read}
        for key, (shard, _) in self._rows.items():
            sizes.setdefault(shard, []).append(key)
        small = {shard: keys for shard, keys in sizes.items() if len(keys) < SMALL}
        if len(self._read) <= COMPACT_ABOVE or len(small) < 2:
            return
        keys = [key for shard_keys in small.values() for key in shard_keys]
        values, found = self.get(keys)
        self.add([key for key, good in zip(keys, found, strict=True) if good], values[found])
        for shard in small:
            with suppress(OSError):
                shard.unlink()
        self.refresh()

    def _drop(self, shard: Path, error: ShardError | OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # gone shards were merged or removed on purpose
            self._say_once(shard, f"it cannot be read ({error}): its images will be embedded again")
        self._rows = {key: place for key, place in self._rows.items() if place[0] != shard}
        self._read.discard(shard)
        if isinstance(error, ShardError):  # an OSError may pass; broken content never heals
            with suppress(OSError):
                shard.unlink()

    @staticmethod
    def _say_once(shard: Path, problem: str) -> None:
        """Log a problem once in this process: the store is opened again and again."""
        if (shard, problem) not in _said:
            _said.add((shard, problem))
            log.warning("Shard %s of %s: %s", shard.name, shard.parent, problem)


_said: set[tuple[Path, str]] = set()
