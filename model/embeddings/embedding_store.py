"""The store of embeddings: immutable shards that any worker may add without a lock.

A shard is a safetensors file with `keys`, int64 of shape (n,), and `embeddings`, float16 of shape (n, D). A key stands for
one image of one task. A shard that is gone or broken, or a row that is not finite, only means that images are embedded again.
Where several machines share a bucket, the shards lie there, and here are copies of them: one that broke is fetched again.
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

from model.embeddings.embedding_checks import Checks
from model.embeddings.embedding_places import Places
from model.embeddings.embedding_shard import DAMAGED, OtherWidth, ShardError, finite_rows, read_keys, read_parts
from model.storage.bucket import StoreUnavailable
from model.storage.files import write_atomically
from model.storage.mirror import Mirror

Keys = Sequence[int] | NDArray[np.int64]

log = logging.getLogger(__name__)
COMPACT_ABOVE = 64  # shards in a store before `compact` merges the small ones
SMALL = 1024  # rows
SUFFIX = ".safetensors"

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
    """The embeddings of one project under one backbone, in `folder`: as many as it has length, as of the last `refresh`.

    mirror: of `folder`, where other machines add shards too; every method that reads or writes may then raise StoreUnavailable.
    """

    def __init__(self, folder: Path, dimensions: int, mirror: Mirror | None = None) -> None:
        self.folder = folder
        self.dimensions = dimensions
        self._mirror = mirror
        self._places = Places.none()
        self._read: set[Path] = set()
        self._checks = Checks(folder)

    def add(self, keys: Sequence[int], embeddings: NDArray[np.floating]) -> None:
        """Write one shard of `embeddings`, finite, of shape (len(keys), D), rounded to float16. All machines see it after, but
        where the mirror is for somebody in a hurry, and the store does not answer: then it is here alone, and made again."""
        if len(keys) != len(embeddings) or embeddings.shape[1:] != (self.dimensions,):
            raise ValueError(f"{len(keys)} keys do not fit embeddings of shape {embeddings.shape}")
        if not keys:
            return
        tensors: dict[str, NDArray] = {
            "keys": np.asarray(keys, np.int64),
            "embeddings": np.ascontiguousarray(embeddings, np.float16),
        }
        shard = self.folder / f"{uuid.uuid4().hex}{SUFFIX}"

        def write(beside: Path) -> None:
            save_file(tensors, beside)
            try:
                if self._mirror:
                    self._mirror.put(shard.name, beside)
            except StoreUnavailable as error:
                if not self._mirror or not self._mirror.hurried:
                    raise
                log.warning("%d embeddings are on this machine alone, and made again later: %s", len(keys), error)

        write_atomically(shard, write)

    def refresh(self, age: float = 0, certain: bool = False) -> None:
        """Take note of shards that were added or removed since the last call, here and, until `age` seconds ago, on other
        machines. certain: see `Mirror.listing`."""
        shards = self._shards(age, certain)
        if self._read - shards:
            self._places, self._read = Places.none(), set()
        new = shards - self._read
        checked = self._checks.passed(new) if new else set()
        added, fine = {}, set()
        for shard in sorted(new):
            try:
                added[shard] = keys = self._keys(shard, shard in checked)
            except (ShardError, OSError) as error:
                if isinstance(error, StoreUnavailable):
                    raise
                self._drop(shard, error)
                continue
            if damaged := int((keys == DAMAGED).sum()):
                self._say_once(shard, f"{damaged} of its embeddings are not finite: their images will be embedded again")
            elif len(keys) >= SMALL and shard not in checked:
                fine.add(shard)
        if fine:
            self._checks.add(fine)
        self._places = self._places.with_shards(added)
        self._read |= set(added)

    def _shards(self, age: float, certain: bool) -> set[Path]:
        """All shards there are; what was not here has been fetched."""
        here = set(self.folder.glob(f"[!.]*{SUFFIX}"))
        if not self._mirror:
            return here
        names, current = self._mirror.listing(age, certain)
        there = {self.folder / name for name in names if name.endswith(SUFFIX)}
        if current and not age:  # what was here before that was listed, and is not there, is gone
            for shard in here - there:
                shard.unlink(missing_ok=True)
        else:
            there |= here
        new = sorted((there - here) | (there - self._read))
        self._mirror.fetch((shard.name for shard in new), some_will_do=True)
        return {shard for shard in there if shard in here or shard.exists()}

    def _keys(self, shard: Path, checked: bool) -> NDArray[np.int64]:
        """The keys of a shard, see `read_keys`. A damaged copy is fetched again, for single rows once in this process."""
        try:
            keys = read_keys(shard, self.dimensions, checked)
            if not self._mirror or shard in _damaged or not (keys == DAMAGED).any():
                return keys
            _damaged.add(shard)
        except ShardError:
            if not self._mirror:
                raise
        if not self._mirror.fetch_again(shard.name):
            raise FileNotFoundError(shard)
        return read_keys(shard, self.dimensions)

    def __len__(self) -> int:
        return len(self._places.keys)

    def has(self, keys: Keys) -> NDArray[np.bool_]:
        """Which of m `keys` have an embedding, bool (m,)."""
        return self._places.find(np.asarray(keys, np.int64))[1]

    def missing(self, keys: Keys) -> list[int]:
        """Those of `keys` that have no embedding yet, in their order."""
        asked = np.asarray(keys, np.int64)
        return asked[~self.has(asked)].tolist()

    def get(self, keys: Keys) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
        """The embeddings of `keys` as (values, found).

        values: float16 of shape (len(keys), D), zeros where not found; found: bool of shape (len(keys),).
        """
        values = np.zeros((len(keys), self.dimensions), np.float16)
        found = np.zeros(len(keys), bool)
        for positions, embeddings in self.parts(keys):
            values[positions], found[positions] = embeddings, True
        return values, found

    def parts(self, keys: Keys) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """The embeddings of `keys` in parts as they lie on disk, so that a large pool is never in memory as a whole.

        Each part is (positions in `keys`, int64 of shape (n,); embeddings, float16 of shape (n, D), not to be written to). Keys
        without an embedding are in none.
        """
        asked, left = np.asarray(keys, np.int64), np.arange(len(keys))
        for _ in range(2):
            whole, read_all = True, np.zeros(len(asked), bool)
            for shard, positions, rows in self._places.by_shard(asked[left]):
                damaged = False
                try:
                    for where, read in read_parts(shard, rows, self.dimensions):
                        into, finite = left[positions[where]], finite_rows(read)
                        read_all[into] = True
                        if not finite.all():  # damaged since the shard was looked at
                            self._checks.remove(shard)
                            self._places = self._places.without(np.isin(self._places.keys, asked[into[~finite]]))
                            if self._mirror and shard not in _damaged:
                                read_all[into[~finite]], damaged = False, True
                        yield (into, read) if finite.all() else (into[finite], read[finite])  # to choose would copy them all
                except (ShardError, OSError) as error:
                    whole, damaged = False, self._mirror is not None
                    if not damaged:
                        self._drop(shard, error)
                if damaged:
                    self._fetch_anew(shard)
                    whole = False
            if whole:
                return
            left = left[~read_all[left]]
            self.refresh()  # another process merged shards meanwhile, or a copy is to be fetched again

    def compact(self) -> None:
        """Merge small shards once there are many, so that a year of single images stays quick to read. Where two do so at once,
        nothing is lost: each removes what it has merged itself."""
        self.refresh(certain=True)
        sizes = np.bincount(self._places.numbers, minlength=len(self._places.shards)).tolist()
        small = {shard for shard, size in zip(self._places.shards, sizes, strict=True) if size < SMALL} & self._read
        if len(self._read) <= COMPACT_ABOVE or len(small) < 2:
            return
        keys = np.concatenate([self._places.keys[self._places.in_shard(shard)] for shard in sorted(small)])
        values, found = self.get(keys)
        self.add(keys[found].tolist(), values[found])
        if self._mirror:
            self._mirror.remove(*(shard.name for shard in small))
        for shard in small:
            with suppress(OSError):
                shard.unlink()
        self.refresh()

    def _fetch_anew(self, shard: Path) -> None:
        """Throw away a copy that is damaged or gone: the next `refresh` fetches it."""
        self._forget(shard)
        _damaged.add(shard)
        shard.unlink(missing_ok=True)

    def _drop(self, shard: Path, error: ShardError | OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # gone shards were merged or removed on purpose
            self._say_once(shard, f"it cannot be read ({error}): its images will be embedded again")
        self._forget(shard)
        if isinstance(error, ShardError):  # an OSError may pass; broken content never heals
            if self._mirror and isinstance(error, OtherWidth):
                return  # who reads it may be wrong, and nobody else must lose it for that
            if self._mirror:
                self._mirror.remove(shard.name)
            with suppress(OSError):
                shard.unlink()

    def _forget(self, shard: Path) -> None:
        self._places = self._places.without(self._places.in_shard(shard))
        self._read.discard(shard)

    @staticmethod
    def _say_once(shard: Path, problem: str) -> None:
        """Log a problem once in this process: the store is opened again and again."""
        if (shard, problem) not in _said:
            _said.add((shard, problem))
            log.warning("Shard %s of %s: %s", shard.name, shard.parent, problem)


_said: set[tuple[Path, str]] = set()
_damaged: set[Path] = set()  # copies of which single rows were damaged, and that were fetched again for it
