"""Writes test/fixtures/tahoe: the same cells in Parquet and Arrow, in many of the ways there are to write them.

Run from the repository's root with pyarrow (25.0.1 was used) and numpy: python3 scripts/make-data-fixtures.py
expected.json holds the cells as they went in.
"""

import json
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

FOLDER = pathlib.Path("test/fixtures/tahoe")
GENES, CELLS = 40, 30


def make_cells(rng):
    """Cells as lists of (gene, count); some without any gene, one with all."""
    cells = []
    for row in range(CELLS):
        size = 0 if row in (4, 11) else GENES if row == 7 else int(rng.integers(1, 15))
        genes = np.sort(rng.choice(GENES, size=size, replace=False))
        counts = 1 + rng.poisson(2.0, size=size)
        cells.append([[int(g), int(c)] for g, c in zip(genes, counts)])
    return cells


def lists(cells, token_type, expression_type, large=False, missing=False):
    """The two list columns; with `missing`, cells without genes are null instead of a marker alone."""
    make = pa.large_list if large else pa.list_
    tokens, expressions = [], []
    for cell in cells:
        if missing and not cell:
            tokens.append(None)
            expressions.append(None)
            continue
        tokens.append([1] + [g + 3 for g, _ in cell])
        expressions.append([-2] + [c for _, c in cell])
    return pa.array(tokens, make(token_type)), pa.array(expressions, make(expression_type))


def table(cells, texts, **how):
    token_type = how.pop("token_type", pa.int64())
    expression_type = how.pop("expression_type", pa.float32())
    tokens, expressions = lists(cells, token_type, expression_type, **how)
    return pa.table({"genes": tokens, "expressions": expressions, **texts})


def main():
    rng = np.random.default_rng(7)
    FOLDER.mkdir(parents=True, exist_ok=True)
    cells = make_cells(rng)
    ids = [f"AAAC-{row:03d}" for row in range(CELLS)]
    drugs = [None if row % 7 == 6 else f"drug {'äb'[row % 2]}" for row in range(CELLS)]
    dose = [float(row) / 4 if row % 5 else None for row in range(CELLS)]
    control = [row % 3 == 0 for row in range(CELLS)]
    texts = {
        "drug": pa.array(drugs, pa.string()),
        "BARCODE_SUB_LIB_ID": pa.array(ids, pa.string()),
        "dose": pa.array(dose, pa.float64()),
        "control": pa.array(control, pa.bool_()),
    }
    symbols = [f"Gene{g}" for g in range(GENES)]
    symbols[9] = symbols[8]
    ensembl = [f"ENSG{g:011d}" for g in range(GENES)]
    order = rng.permutation(GENES)
    pq.write_table(
        pa.table(
            {
                "gene_symbol": [symbols[g] for g in order],
                "ensembl_id": [ensembl[g] for g in order],
                "token_id": pa.array(order + 3, pa.int64()),
            }
        ),
        FOLDER / "gene_metadata.parquet",
    )
    (FOLDER / "vocab.json").write_text(
        json.dumps({"<pad>": 0, "<cls>": 1, "<eoc>": 2, **{name: g + 3 for g, name in enumerate(ensembl)}})
    )
    # Without a gene that no cell before the one with all genes has.
    left_out = min(set(range(GENES)) - {g for cell in cells[:7] for g, _ in cell})
    partial = {name: g + 3 for g, name in enumerate(ensembl) if g != left_out}
    (FOLDER / "partial_vocab.json").write_text(json.dumps({"<pad>": 0, "<cls>": 1, "<eoc>": 2, **partial}))
    (FOLDER / "expected.json").write_text(
        json.dumps(
            {"cells": cells, "ids": ids, "drug": drugs, "dose": dose, "control": control, "ensembl": ensembl}
        )
    )

    plain = table(cells, texts)
    lists_only = ["genes.list.element", "expressions.list.element"]

    def write(name, data=plain, **options):
        options.setdefault("row_group_size", 12)
        pq.write_table(data, FOLDER / f"{name}.parquet", **options)

    write("snappy")
    write("zstd_pages_v2", compression="zstd", data_page_version="2.0", data_page_size=64, write_batch_size=8)
    write("gzip_plain", compression="gzip", use_dictionary=False)
    write("brotli_pages_v2", compression="brotli", data_page_version="2.0")
    write("lz4_checksums", compression="lz4", write_page_checksum=True)
    write("small_pages", compression="none", data_page_size=48, write_batch_size=4, row_group_size=1000)
    write(
        "delta",
        use_dictionary=False,
        column_encoding={
            lists_only[0]: "DELTA_BINARY_PACKED",
            lists_only[1]: "BYTE_STREAM_SPLIT",
            "drug": "DELTA_BYTE_ARRAY",
            "BARCODE_SUB_LIB_ID": "DELTA_LENGTH_BYTE_ARRAY",
            "dose": "BYTE_STREAM_SPLIT",
            "control": "RLE",
        },
        data_page_version="2.0",
    )
    write("missing_lists", table(cells, texts, missing=True))
    write("large_int32", table(cells, texts, token_type=pa.int32(), expression_type=pa.float64(), large=True))
    write("whole_expressions", table(cells, texts, expression_type=pa.int32()))

    dense = np.zeros((CELLS, GENES), np.float32)
    for row, cell in enumerate(cells):
        for gene, count in cell:
            dense[row, gene] = count
    wide = {"barcode": texts["BARCODE_SUB_LIB_ID"], "drug": texts["drug"]}
    for gene, name in enumerate(ensembl):
        kind = [pa.float32(), pa.int32(), pa.int64(), pa.float64()][gene % 4]
        wide[name] = pa.array(dense[:, gene], pa.float32()).cast(kind)
    wide["n_genes"] = pa.array([len(cell) for cell in cells], pa.int64())
    wide = pa.table(wide)
    write("wide", wide)

    def stream(name, data, rows, new=ipc.new_stream, compression=None):
        options = ipc.IpcWriteOptions(compression=compression)
        with new(str(FOLDER / f"{name}.arrow"), data.schema, options=options) as writer:
            for batch in data.to_batches(max_chunksize=rows):
                writer.write_batch(batch)

    stream("stream", plain, 8)
    stream("file", plain, 8, ipc.new_file)
    coded = plain.set_column(2, "drug", plain["drug"].dictionary_encode())
    stream("coded", coded, 10)
    stream("coded_file", coded, 10, ipc.new_file)
    viewed = {name: array.cast(pa.string_view()) if array.type == pa.string() else array for name, array in texts.items()}
    stream("views_file", table(cells, viewed), 8, ipc.new_file)
    stream("lz4", plain, 20, compression="lz4")
    stream("zstd_file", coded, 20, ipc.new_file, compression="zstd")
    stream("zstd_wide", wide, 11, compression="zstd")
    large = table(cells, {**texts, "drug": texts["drug"].cast(pa.large_string())}, large=True, missing=True)
    stream("large", large, 30)
    stream("wide", wide, 11)


if __name__ == "__main__":
    main()
