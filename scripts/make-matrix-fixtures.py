"""Writes the small files of 10x, Matrix Market, text tables and zarr that test/data reads:
python3 scripts/make-matrix-fixtures.py

Needs anndata 0.8 or later, h5py, scipy and zarr 2. All hold the counts of scripts/make-h5ad-fixtures.py, so that one
table in the tests says what each must give.
"""

import gzip
import itertools
import json
import shutil
import struct
import zipfile
from pathlib import Path

import anndata
import h5py
import numcodecs
import numpy as np
import pandas as pd
from scipy import io, sparse

FIXTURES = Path(__file__).resolve().parent.parent / "test" / "fixtures"

# 6 cells x 5 genes; cell c4 expresses nothing.
COUNTS = np.array(
    [[1, 0, 3, 0, 0], [0, 2, 0, 0, 7], [5, 1, 0, 0, 1], [0, 0, 0, 9, 0], [0, 0, 0, 0, 0], [2, 2, 2, 2, 2]],
    dtype=np.float32,
)
CELLS = [f"c{i}" for i in range(6)]
SYMBOLS = ["Xkr4", "Sox17", "Rp1", "Mrpl15", "Lypla1"]
IDS = [f"ENSMUSG0000000000{i}" for i in range(5)]
TYPES = ["neuron", "glia", "neuron", "neuron", "glia", "neuron"]
# A protein measured beside the genes, as Cell Ranger 3 writes it.
PROTEIN = np.array([4, 0, 8, 0, 1, 3], dtype=np.float32)


def fresh(name):
    folder = FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def zipped(path, text):
    # Neither the time nor the name goes into the file: the same bytes every time.
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, 0) as file:
        file.write(text if isinstance(text, bytes) else text.encode())


# 10x HDF5, laid out as Cell Ranger does


def fixed(strings):
    return np.array([text.encode() for text in strings])


def tenx_group(file, name, counts, ids, symbols):
    matrix = sparse.csc_matrix(counts.T)
    group = file.create_group(name)
    group.create_dataset("barcodes", data=fixed(CELLS), compression="gzip")
    group.create_dataset("data", data=matrix.data.astype(np.int32), compression="gzip")
    group.create_dataset("indices", data=matrix.indices.astype(np.int64), compression="gzip")
    group.create_dataset("indptr", data=matrix.indptr.astype(np.int64), compression="gzip")
    group.create_dataset("shape", data=np.array(matrix.shape, dtype=np.int32))
    if ids is not None:
        group.create_dataset("genes", data=fixed(ids))
        group.create_dataset("gene_names", data=fixed(symbols))
    return group


def tenx_features(group, ids, names, types, genomes):
    features = group.create_group("features")
    for name, values in (("id", ids), ("name", names), ("feature_type", types), ("genome", genomes)):
        features.create_dataset(name, data=fixed(values))
    features.create_dataset("_all_tag_keys", data=fixed(["genome"]))


def tenx_h5():
    out = fresh("tenx")
    with h5py.File(out / "v2.h5", "w") as file:
        tenx_group(file, "mm10", COUNTS, IDS, SYMBOLS)
    with h5py.File(out / "v2_genomes.h5", "w") as file:
        tenx_group(file, "hg19", COUNTS[:, :2] * 2, ["ENSG00000000001", "ENSG00000000002"], ["A", "B"])
        tenx_group(file, "mm10", COUNTS, IDS, SYMBOLS)
    with h5py.File(out / "v3.h5", "w") as file:
        file.attrs["filetype"] = "matrix"
        group = tenx_group(file, "matrix", np.column_stack([COUNTS[:, :2], PROTEIN, COUNTS[:, 2:]]), None, None)
        genes = ["Gene Expression"] * 3
        tenx_features(
            group,
            IDS[:2] + ["CD3"] + IDS[2:],
            SYMBOLS[:2] + ["CD3_TotalSeqB"] + SYMBOLS[2:],
            genes[:2] + ["Antibody Capture"] + genes,
            ["mm10"] * 2 + [""] + ["mm10"] * 3,
        )
    with h5py.File(out / "v3_genomes.h5", "w") as file:
        group = tenx_group(file, "matrix", COUNTS, None, None)
        tenx_features(group, IDS, SYMBOLS, ["Gene Expression"] * 5, ["hg19"] * 2 + ["mm10"] * 3)
    damaged_tenx(out)


def damaged_tenx(out):
    """One fault each; the name says which."""

    def write(name, fault):
        with h5py.File(out / f"bad_{name}.h5", "w") as file:
            tenx_group(file, "mm10", COUNTS, IDS, SYMBOLS)
            fault(file["mm10"])

    def replace(group, name, data):
        del group[name]
        group.create_dataset(name, data=data)

    write("shape", lambda g: replace(g, "shape", np.array([5, 7], dtype=np.int32)))
    write("genes", lambda g: replace(g, "genes", fixed(IDS[:4])))
    write("barcodes", lambda g: replace(g, "barcodes", fixed(CELLS[:5])))
    write("index", lambda g: replace(g, "indices", g["indices"][:] + 1))
    write("absurd", lambda g: replace(g, "shape", np.array([5, 10**13], dtype=np.int64)))
    with h5py.File(out / "bad_no_genes.h5", "w") as file:
        group = tenx_group(file, "matrix", COUNTS, None, None)
        tenx_features(group, IDS, SYMBOLS, ["Antibody Capture"] * 5, [""] * 5)


# Matrix Market, written by scipy


def market(path, matrix, **options):
    target = Path(str(path).removesuffix(".gz"))
    io.mmwrite(str(target), matrix, **options)
    if target != path:
        zipped(path, target.read_bytes())
        target.unlink()


def rows(*columns):
    return "".join("\t".join(fields) + "\n" for fields in zip(*columns))


def matrix_market():
    out = fresh("matrix_market")
    genes_by_cells = sparse.csc_matrix(COUNTS.T).astype(np.int32)
    v2 = out / "v2" / "mm10"
    v2.mkdir(parents=True)
    market(v2 / "matrix.mtx", genes_by_cells)
    (v2 / "barcodes.tsv").write_text(rows(CELLS))
    (v2 / "genes.tsv").write_text(rows(IDS, SYMBOLS))

    v3 = out / "v3"
    v3.mkdir()
    with_protein = np.column_stack([COUNTS[:, :2], PROTEIN, COUNTS[:, 2:]])
    market(v3 / "matrix.mtx.gz", sparse.csc_matrix(with_protein.T).astype(np.int32))
    zipped(v3 / "barcodes.tsv.gz", rows(CELLS))
    types = ["Gene Expression"] * 2 + ["Antibody Capture"] + ["Gene Expression"] * 3
    zipped(v3 / "features.tsv.gz", rows(IDS[:2] + ["CD3"] + IDS[2:], SYMBOLS[:2] + ["CD3"] + SYMBOLS[2:], types))

    geo = out / "geo"
    geo.mkdir()
    for sample in ("GSM1_a", "GSM2_b"):
        market(geo / f"{sample}_matrix.mtx.gz", genes_by_cells)
        zipped(geo / f"{sample}_barcodes.tsv.gz", rows(CELLS))
        zipped(geo / f"{sample}_features.tsv.gz", rows(IDS, SYMBOLS, ["Gene Expression"] * 5))

    # Cells by genes in real numbers, sorted by gene, names with headings: as other tools write it.
    other = out / "by_gene"
    other.mkdir()
    market(other / "cells_x_genes.mtx", sparse.csc_matrix(COUNTS).tocoo())
    (other / "cells_x_genes.barcodes.txt").write_text("barcode\n" + rows(CELLS))
    (other / "cells_x_genes.genes.txt").write_text(rows(SYMBOLS))

    pattern = out / "pattern"
    pattern.mkdir()
    market(pattern / "matrix.mtx", (genes_by_cells > 0).astype(np.int8), field="pattern")
    (pattern / "barcodes.tsv").write_text(rows(CELLS))
    (pattern / "genes.tsv").write_text(rows(SYMBOLS))


# Text tables, written by pandas


def tables():
    out = fresh("delimited")
    cells = pd.DataFrame(COUNTS.astype(np.int32), index=CELLS, columns=SYMBOLS)
    cells.to_csv(out / "cells.csv")
    zipped(out / "cells.tsv.gz", cells.to_csv(sep="\t", index_label="cell"))
    described = cells.copy()
    described.insert(0, "cell_type", TYPES)
    described["n_counts"] = COUNTS.sum(axis=1)
    described["note"] = ["first", 'with, comma and "quotes"', None, "over\ntwo lines", "é", "last"]
    described.to_csv(out / "described.csv", lineterminator="\r\n")
    zipped(out / "described.csv.gz", described.to_csv())
    ids = cells.rename(columns=dict(zip(SYMBOLS, IDS)))
    ids.T.to_csv(out / "genes.csv")
    zipped(out / "genes.txt.gz", cells.T.to_csv(sep="\t"))
    # As R's write.table: no heading for the names, all text quoted.
    header = "\t".join(f'"{name}"' for name in SYMBOLS)
    lines = ["\t".join([f'"{name}"', *map(str, row)]) for name, row in zip(CELLS, COUNTS.astype(int))]
    (out / "r.txt").write_text("\n".join([header, *lines]) + "\n")
    cells.to_csv(out / "semicolon.csv", sep=";", index=False)


# AnnData in zarr: version 2 by AnnData itself, version 3 laid out as AnnData 0.12 does


def annotated(X):
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical(TYPES),
            "stage": pd.Categorical(
                ["late", "early", None, "late", "early", "late"], categories=["early", "late"], ordered=True
            ),
            "doublet": np.array([True, False, False, False, True, False]),
            "genes": np.arange(6, dtype=np.int64) * 10,
            "score": np.array([0.5, 1.5, np.nan, 3.5, 4.5, 5.5]),
            "passes": pd.array([1, 2, None, 4, 5, 6], dtype="Int64"),
            "note": np.array(["first", "zweite Zelle", "", "ünïcode", "e", "f"], dtype=object),
        },
        index=CELLS,
    )
    var = pd.DataFrame({"gene_ids": IDS}, index=SYMBOLS)
    data = anndata.AnnData(X(COUNTS - 1), obs=obs, var=var)
    data.layers["counts"] = X(COUNTS)
    return data


def pack(folder):
    with zipfile.ZipFile(f"{folder}.zip", "w") as archive:
        for place, path in enumerate(sorted(folder.rglob("*"))):
            if path.is_file():
                # Every other file compressed, and one written twice: the last one counts.
                info = zipfile.ZipInfo(str(path.relative_to(folder)))
                info.compress_type = zipfile.ZIP_DEFLATED if place % 2 else zipfile.ZIP_STORED
                if info.filename == "obs/zarr.json":
                    archive.writestr(zipfile.ZipInfo(info.filename), b"{}")
                archive.writestr(info, path.read_bytes())


def zarr_v2(out):
    for name, X in (("csr", sparse.csr_matrix), ("csc", sparse.csc_matrix), ("dense", np.asarray)):
        annotated(X).write_zarr(out / f"v2_{name}.zarr", chunks=(4, 2) if name == "dense" else None)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 if crc & 1 else crc >> 1
    return struct.pack("<I", crc ^ 0xFFFFFFFF)


def write_json(folder, **document):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "zarr.json").write_text(json.dumps({"zarr_format": 3, **document}))


def group(folder, **attributes):
    write_json(folder, node_type="group", attributes=attributes)


COMPRESSORS = {
    "zstd": ({"level": 0, "checksum": False}, numcodecs.Zstd(1)),
    "gzip": ({"level": 5}, numcodecs.GZip(5)),
    "blosc": (
        {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 4, "blocksize": 0},
        numcodecs.Blosc("lz4", 5, numcodecs.Blosc.SHUFFLE),
    ),
}


def array(folder, values, chunk=None, shard=None, compressor="zstd", endian="little", order=None, **attributes):
    """One array; chunks that hold nothing but the fill value are left out, as writers do."""
    text = values.dtype == object
    chunk = chunk or values.shape
    fill = "" if text else False if values.dtype == bool else 0
    configuration, codec = COMPRESSORS[compressor]
    if text:
        codecs = [{"name": "vlen-utf8"}]
    else:
        codecs = [{"name": "bytes", "configuration": {"endian": endian}} if values.itemsize > 1 else {"name": "bytes"}]
    if order is not None:
        codecs.insert(0, {"name": "transpose", "configuration": {"order": order}})
    codecs.append({"name": compressor, "configuration": configuration})

    def encode(piece):
        if text:
            texts = [item.encode() for item in piece.ravel()]
            raw = struct.pack("<I", len(texts)) + b"".join(struct.pack("<I", len(t)) + t for t in texts)
        else:
            piece = piece if order is None else piece.transpose(order)
            raw = piece.astype(piece.dtype.newbyteorder(">" if endian == "big" else "<")).tobytes()
        return codec.encode(raw)

    def piece(place, shape):
        full = np.full(shape, fill, dtype=values.dtype)
        part = values[tuple(slice(i * n, (i + 1) * n) for i, n in zip(place, shape))]
        full[tuple(slice(0, n) for n in part.shape)] = part
        return full

    def places(shape, of):
        return itertools.product(*(range(-(-total // n)) for total, n in zip(of, shape)))

    inner = codecs
    if shard is not None:
        index_codecs = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
        sharding = {"chunk_shape": list(chunk), "codecs": inner, "index_codecs": index_codecs, "index_location": "end"}
        codecs = [{"name": "sharding_indexed", "configuration": sharding}]
    outer = shard or chunk
    write_json(
        folder,
        node_type="array",
        shape=list(values.shape),
        data_type="string" if text else str(values.dtype),
        chunk_grid={"name": "regular", "configuration": {"chunk_shape": list(outer)}},
        chunk_key_encoding={"name": "default", "configuration": {"separator": "/"}},
        fill_value=fill,
        codecs=codecs,
        attributes=attributes,
        storage_transformers=[],
    )
    for place in places(outer, values.shape):
        whole = piece(place, outer)
        if (whole == fill).all() and not text:
            continue
        if shard is None:
            data = encode(whole)
        else:
            data, index = b"", []
            for part in places(chunk, shard):
                inside = whole[tuple(slice(i * n, (i + 1) * n) for i, n in zip(part, chunk))]
                if (inside == fill).all():
                    index += [2**64 - 1, 2**64 - 1]
                    continue
                encoded = encode(inside)
                index += [len(data), len(encoded)]
                data += encoded
            raw = struct.pack(f"<{len(index)}Q", *index)
            data += raw + crc32c(raw)
        path = folder.joinpath("c", *map(str, place))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def texts(values):
    return np.array(values, dtype=object)


def zarr_frame(folder, index, columns, **options):
    names = list(columns)
    attributes = {"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index", "column-order": names}
    group(folder, **attributes)
    array(folder / "_index", texts(index), **options)
    for name, column in columns.items():
        if isinstance(column, np.ndarray):
            array(folder / name, column, **options)
            continue
        first, second = column
        kind = "categorical" if first == "codes" else "nullable-integer"
        group(folder / name, **{"encoding-type": kind, "encoding-version": "0.1.0", "ordered": False})
        for member, values in second.items():
            array(folder / name / member, values, **options)


def zarr_v3(out):
    for name, options in (
        ("v3", {"chunk": (4,)}),
        ("v3_sharded", {"chunk": (2,), "shard": (8,)}),
        ("v3_gzip", {"compressor": "gzip", "endian": "big"}),
        ("v3_blosc", {"compressor": "blosc", "chunk": (3,)}),
    ):
        store = out / f"{name}.zarr"
        group(store, **{"encoding-type": "anndata", "encoding-version": "0.1.0"})
        group(store / "layers", **{"encoding-type": "dict", "encoding-version": "0.1.0"})
        matrix = sparse.csr_matrix(COUNTS)
        sparse_attributes = {"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [6, 5]}
        group(store / "layers" / "counts", **sparse_attributes)
        for part, kind in (("data", np.int32), ("indices", np.int32), ("indptr", np.int64)):
            array(store / "layers" / "counts" / part, getattr(matrix, part).astype(kind), **options)
        dense = {**options, "chunk": (4, 2), "order": [1, 0] if name == "v3_gzip" else None}
        if "shard" in options:
            dense["shard"] = (4, 6)
        array(store / "X", COUNTS - 1, **dense)
        frame = {
            "cell_type": ("codes", {"codes": np.array([1, 0, 1, 1, 0, 1], dtype=np.int8), "categories": texts(["glia", "neuron"])}),
            "doublet": np.array([True, False, False, False, True, False]),
            "genes": np.arange(6, dtype=np.int64) * 10,
            "score": np.array([0.5, 1.5, np.nan, 3.5, 4.5, 5.5]),
            "passes": ("values", {"values": np.array([1, 2, 0, 4, 5, 6]), "mask": np.arange(6) == 2}),
            "note": texts(["first", "zweite Zelle", "", "ünïcode", "e", "f"]),
        }
        zarr_frame(store / "obs", CELLS, frame, **options)
        zarr_frame(store / "var", SYMBOLS, {"gene_ids": texts(IDS)}, **options)


def main():
    tenx_h5()
    matrix_market()
    tables()
    out = fresh("zarr")
    zarr_v2(out)
    zarr_v3(out)
    for store in sorted(out.glob("*.zarr")):
        pack(store)
        # One of each version stays a folder, too.
        if store.name not in ("v2_csr.zarr", "v3_sharded.zarr"):
            shutil.rmtree(store)


main()
