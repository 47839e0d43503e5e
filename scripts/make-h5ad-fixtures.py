"""Writes the small .h5ad files that test/data reads: python3 scripts/make-h5ad-fixtures.py

Needs anndata 0.8 or later and h5py. Files of AnnData's current layout are written by AnnData itself; those of
older or damaged layouts are put together with h5py. All hold the same counts, so that one table in the tests
says what each must give.
"""

import os
import sys
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

OUT = Path(__file__).resolve().parent.parent / "test" / "fixtures" / "h5ad"

# 6 cells x 5 genes; cell c4 expresses nothing.
COUNTS = np.array(
    [[1, 0, 3, 0, 0], [0, 2, 0, 0, 7], [5, 1, 0, 0, 1], [0, 0, 0, 9, 0], [0, 0, 0, 0, 0], [2, 2, 2, 2, 2]],
    dtype=np.float32,
)
CELLS = [f"c{i}" for i in range(6)]
SYMBOLS = ["Xkr4", "Sox17", "Rp1", "Mrpl15", "Lypla1"]
IDS = [f"ENSMUSG0000000000{i}" for i in range(5)]
TYPES = ["neuron", "glia", "neuron", "neuron", "glia", "neuron"]
TEXT = h5py.string_dtype()


def tables():
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical(TYPES),
            "stage": pd.Categorical(["late", "early", None, "late", "early", "late"], categories=["early", "late"], ordered=True),
            "doublet": np.array([True, False, False, False, True, False]),
            "genes": np.arange(6, dtype=np.int64) * 10,
            "score": np.array([0.5, 1.5, np.nan, 3.5, 4.5, 5.5]),
            "passes": pd.array([1, 2, None, 4, 5, 6], dtype="Int64"),
            "checked": pd.array([True, None, False, True, True, False], dtype="boolean"),
            "note": np.array(["first", "zweite Zelle", "", "ünïcode", "e", "f"], dtype=object),
        },
        index=CELLS,
    )
    var = pd.DataFrame({"gene_ids": IDS, "length": np.arange(5, dtype=np.float32)}, index=SYMBOLS)
    return obs, var


def full(name, X):
    """Current layout: X transformed, counts in a layer, raw with one gene more."""
    obs, var = tables()
    raw_var = pd.concat([var, pd.DataFrame({"gene_ids": ["ENSMUSG00000000009"], "length": [9.0]}, index=["Extra"])])
    raw = anndata.AnnData(sparse.csr_matrix(np.hstack([COUNTS, np.ones((6, 1), np.float32)])), obs=obs, var=raw_var)
    data = anndata.AnnData(X(np.log1p(COUNTS)), obs=obs, var=var, uns={"study": "fixture"})
    data.layers["counts"] = X(COUNTS)
    data.raw = raw
    data.write_h5ad(OUT / name)


def scaled():
    """X holds negative values; the counts are in a layer."""
    obs, var = tables()
    data = anndata.AnnData(sparse.csr_matrix(COUNTS - 1), obs=obs[["cell_type"]], var=var)
    data.layers["raw_counts"] = sparse.csr_matrix(COUNTS)
    data.write_h5ad(OUT / "scaled.h5ad")


def dense_compressed():
    """Whole numbers in compressed chunks."""
    obs, var = tables()
    path = OUT / "dense_compressed.h5ad"
    anndata.AnnData(COUNTS, obs=obs[["cell_type"]], var=var).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        attributes = dict(file["X"].attrs)
        del file["X"]
        file.create_dataset("X", data=COUNTS.astype(np.int64), chunks=(2, 3), compression="gzip", shuffle=True)
        file["X"].attrs.update(attributes)


def csr_group(file, path, counts=COUNTS, names=("encoding-type", "shape"), kind="csr_matrix"):
    matrix = sparse.csr_matrix(counts)
    group = file.create_group(path)
    group.attrs[names[0]] = kind
    group.attrs[names[1]] = np.array(matrix.shape, dtype=np.int64)
    for part in ("data", "indices", "indptr"):
        group.create_dataset(part, data=getattr(matrix, part))
    return group


def frame(file, path, index, columns=(), annotated=True):
    group = file.create_group(path)
    group.create_dataset("_index" if annotated else "index", data=np.array(index, dtype=object), dtype=TEXT)
    if annotated:
        group.attrs["encoding-type"] = "dataframe"
        group.attrs["encoding-version"] = "0.1.0"
        group.attrs["_index"] = "_index"
        group.attrs["column-order"] = np.array(list(columns), dtype=object) if columns else np.zeros(0)
    return group


def old_07():
    """AnnData 0.7: categories beside the columns, found by an object reference."""
    with h5py.File(OUT / "layout_07.h5ad", "w") as file:
        csr_group(file, "X")
        obs = frame(file, "obs", CELLS, ["cell_type", "genes"])
        labels = obs.create_dataset("__categories/cell_type", data=np.array(["glia", "neuron"], dtype=object), dtype=TEXT)
        labels.attrs["ordered"] = False
        codes = obs.create_dataset("cell_type", data=np.array([1, 0, 1, 1, 0, 1], dtype=np.int8))
        codes.attrs["categories"] = labels.ref
        obs.create_dataset("genes", data=np.arange(6, dtype=np.int64) * 10)
        frame(file, "var", SYMBOLS, ["gene_ids"]).create_dataset("gene_ids", data=np.array(IDS, dtype=object), dtype=TEXT)


def unannotated():
    """No encoding attributes at all; 64-bit indices, fixed-width names, big-endian counts."""
    with h5py.File(OUT / "unannotated.h5ad", "w") as file:
        matrix = sparse.csr_matrix(COUNTS)
        group = file.create_group("X")
        group.attrs["h5sparse_format"] = "csr"
        group.attrs["h5sparse_shape"] = np.array(matrix.shape)
        group.create_dataset("data", data=matrix.data.astype(">f8"))
        group.create_dataset("indices", data=matrix.indices.astype(np.int64))
        group.create_dataset("indptr", data=matrix.indptr.astype(np.int64))
        file.create_group("obs").create_dataset("index", data=np.array(CELLS, dtype="S4"))
        var = file.create_group("var")
        var.create_dataset("index", data=np.array(SYMBOLS, dtype="S8"))
        var.create_dataset("gene_ids", data=np.array(IDS, dtype="S20"))


def nullable_strings():
    """As AnnData 0.11 and later write text with missing values."""
    with h5py.File(OUT / "nullable_strings.h5ad", "w") as file:
        csr_group(file, "X")
        column = frame(file, "obs", CELLS, ["donor"]).create_group("donor")
        column.attrs["encoding-type"] = "nullable-string-array"
        column.attrs["encoding-version"] = "0.1.0"
        column.create_dataset("values", data=np.array(["d1", "", "d2", "d1", "d2", "d2"], dtype=object), dtype=TEXT)
        column.create_dataset("mask", data=np.array([False, True, False, False, False, False]))
        frame(file, "var", SYMBOLS)


def damaged():
    """One fault each; the name says which."""

    def write(name, fault):
        with h5py.File(OUT / f"bad_{name}.h5ad", "w") as file:
            csr_group(file, "X")
            frame(file, "obs", CELLS)
            frame(file, "var", SYMBOLS)
            fault(file)

    def replace(file, path, data):
        del file[path]
        file.create_dataset(path, data=data)

    def changed(file, path, at, value):
        data = file[path][:]
        data[at] = value
        replace(file, path, data)

    def absurd(file):
        file["X"].attrs["shape"] = np.array([10**12, 5])

    def absurd_array(file):
        del file["X/indptr"]
        file.create_dataset("X/indptr", shape=(2**31 - 1,), chunks=(1024,), dtype=np.int64, compression="gzip")
        file["X"].attrs["shape"] = np.array([2**31 - 2, 5])

    def repeated(file):
        replace(file, "X/data", np.array([4, 1, 2, 0, 7, 5, 1, 1, 9, 2, 2, 2, 2, 2], dtype=np.float32))
        replace(file, "X/indices", np.array([2, 0, 2, 1, 4, 0, 1, 4, 3, 0, 1, 2, 3, 4], dtype=np.int32))
        replace(file, "X/indptr", np.array([0, 3, 5, 8, 9, 9, 14], dtype=np.int32))

    def strings(file):
        del file["X/data"]
        file.create_dataset("X/data", data=np.array(["a"] * 13, dtype=object), dtype=TEXT)

    def tenx(file):
        for name in ("X", "obs", "var"):
            del file[name]
        file.create_group("matrix").create_dataset("barcodes", data=np.array(CELLS, dtype="S4"))

    def old_table(file):
        replace(file, "obs", np.array([(name.encode(), 1) for name in CELLS], dtype=[("index", "S4"), ("genes", "i4")]))

    write("negative", lambda f: changed(f, "X/data", 3, -3))
    write("nan", lambda f: changed(f, "X/data", 3, np.nan))
    write("infinite", lambda f: changed(f, "X/data", 3, np.inf))
    write("strings", strings)
    write("index_out_of_range", lambda f: changed(f, "X/indices", 3, 5))
    write("negative_index", lambda f: changed(f, "X/indices", 3, -1))
    write("indptr_falls", lambda f: changed(f, "X/indptr", 2, 1))
    write("indptr_end", lambda f: changed(f, "X/indptr", 6, 12))
    write("indptr_short", lambda f: replace(f, "X/indptr", f["X/indptr"][:-1]))
    write("indices_short", lambda f: replace(f, "X/indices", f["X/indices"][:-1]))
    write("obs_short", lambda f: replace(f, "obs/_index", f["obs/_index"][:-1]))
    write("no_x", lambda f: f.__delitem__("X"))
    write("no_var", lambda f: f.__delitem__("var"))
    write("no_shape", lambda f: f["X"].attrs.__delitem__("shape"))
    write("group_for_data", lambda f: (f.__delitem__("X/data"), f.create_group("X/data")))
    write("dense_3d", lambda f: replace(f, "X", np.zeros((6, 5, 2), np.float32)))
    write("unknown_encoding", lambda f: f["X"].attrs.__setitem__("encoding-type", "awkward-array"))
    write("absurd_shape", absurd)
    write("absurd_array", absurd_array)
    write("old_table", old_table)
    write("tenx", tenx)
    write("repeated_entries", repeated)


def duplicated_names():
    with h5py.File(OUT / "duplicated_names.h5ad", "w") as file:
        csr_group(file, "X")
        frame(file, "obs", ["c0", "c1", "c0", "c3", "c4", "c5"])
        frame(file, "var", ["Rp1", "Sox17", "Rp1", "Rp1-1", "Rp1"])


def outside():
    """Files whose matrix or a column lies in another file: in external storage, behind a link, in a virtual dataset."""
    def put(name, fill):
        with h5py.File(OUT / f"outside_{name}.h5ad", "w") as file:
            frame(file, "obs", CELLS)
            frame(file, "var", SYMBOLS)
            fill(file)

    def storage(file):
        file.create_dataset("X", shape=(6, 5), dtype="u1", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])

    def virtual(file):
        layout = h5py.VirtualLayout(shape=(6, 5), dtype="u1")
        layout[:] = h5py.VirtualSource("elsewhere.h5", "X", shape=(6, 5))
        file.create_virtual_dataset("X", layout)

    def column(file):
        csr_group(file, "X")
        file["obs/a"] = h5py.ExternalLink("elsewhere.h5", "/X")
        file["obs"].attrs["column-order"] = np.array(["a"], dtype=TEXT)

    with h5py.File(OUT / "elsewhere.h5", "w") as file:
        file["X"] = COUNTS.astype("u1")
    put("external_storage", storage)
    put("external_link", lambda file: file.__setitem__("X", h5py.ExternalLink("elsewhere.h5", "/X")))
    put("virtual_dataset", virtual)
    put("column", column)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for path in OUT.glob("*.h5ad"):
        os.remove(path)
    full("csr.h5ad", sparse.csr_matrix)
    full("csc.h5ad", sparse.csc_matrix)
    full("dense.h5ad", np.asarray)
    scaled()
    dense_compressed()
    old_07()
    unannotated()
    nullable_strings()
    duplicated_names()
    damaged()
    outside()
    print(f"anndata {anndata.__version__}: {len(list(OUT.glob('*.h5ad')))} files in {OUT}", file=sys.stderr)


main()
