"""Record files in shards: made by several processes, joined as a virtual dataset of relative paths."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import h5py
import numpy as np

from qtomo.errors import Code, InputError
from qtomo.files import check_absent
from qtomo.records.file.reader import RecordFile
from qtomo.records.file.writer import open_new, set_text, write_header

__all__ = ["join_shards", "shard_path"]


def shard_path(output: str | os.PathLike[str], shard: int, shards: int) -> Path:
    """Where shard number `shard` of `shards` of a record file is written: beside it."""
    path = Path(output)
    return path.with_name(f"{path.stem}.shard-{shard}-of-{shards}{path.suffix}")


def join_shards(output: str | os.PathLike[str], shards: int, overwrite: bool = False) -> Path:
    """Make the record file that reads its shards as one; they stay where they are, beside it.

    The folder may be moved as a whole. Any HDF5 program can read the file.

    Args:
        output: the record file whose shards `shard_path` names.
        shards: how many there are.
        overwrite: replace an existing file.

    Raises:
        InputError: a shard is missing, damaged, or of another simulation; or as `write_records`.
    """
    output = check_absent(output, overwrite)
    paths = [shard_path(output, shard, shards) for shard in range(shards)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise InputError(Code.ABSENT, f"{output}: shard '{missing[0]}' is missing ({len(missing)} of {shards} are)")
    digests = {"outcomes": hashlib.sha256(), "settings": hashlib.sha256()}
    counts = []
    with RecordFile(paths[0]) as first:
        layouts: dict[str, list[h5py.VirtualSource]] = {}
        for number, path in enumerate(paths):
            with RecordFile(path) as file:
                _check_kin(file, first, number, shards)
                file.check()
                counts.append(file.n_records)
                for name in ("outcomes", "settings") if file.has_settings else ("outcomes",):
                    for block in file.raw_blocks(name):
                        digests[name].update(np.ascontiguousarray(block).data)
                    source = h5py.VirtualSource(path.name, name, shape=(file.n_records, file.n_sites), dtype=np.uint8)
                    layouts.setdefault(name, []).append(source)
        with open_new(output) as (out, _):
            write_header(out, first.povm, first.target, first.seed, first.command)
            for name, sources in layouts.items():
                layout = h5py.VirtualLayout(shape=(sum(counts), first.n_sites), dtype=np.uint8)
                start = 0
                for source, count in zip(sources, counts, strict=True):
                    layout[start : start + count] = source
                    start += count
                out.create_virtual_dataset(name, layout)
            set_text(out, "sha256", digests["outcomes"].hexdigest())
            if first.has_settings:
                set_text(out["settings"], "sha256", digests["settings"].hexdigest())
                set_text(out["settings"], "design", first.design)
    return output


def _check_kin(file: RecordFile, first: RecordFile, shard: int, shards: int) -> None:
    if file.shard != (shard, shards):
        found = f"shard {file.shard[0]} of {file.shard[1]}" if file.shard else "no shard"
        raise InputError(Code.MISMATCH, f"{file.path}: holds {found}, expected shard {shard} of {shards}")
    mine, theirs = (
        (f.seed, f.command, f.n_sites, f.design, f.povm.elements.tobytes(), f.target and f.target.parameters)
        for f in (file, first)
    )
    if mine != theirs:
        raise InputError(
            Code.MISMATCH, f"{file.path}: a shard of another simulation than {first.path.name} (seed, command or POVM)"
        )
