import { DdscError } from "../../base/errors.js";
import { isArrow, openArrow } from "../arrow/format.js";
import { openChecked } from "../io/random_access_open.js";
import { MAGIC } from "../parquet/format.js";
import { openParquet } from "../parquet/parquet.js";
import type { CellFormat } from "../sources/format.js";

/** Files behind http(s) addresses and objects of S3: those formats that are read by ranges, told apart by their first bytes. */
export const remote: CellFormat = {
  name: "Parquet or Arrow at an http(s) or s3 address",
  takes: ["metadataColumns", "geneTable"],
  onlyAddresses: true,
  matches: (content) => content.kind === "url",
  opensAgain: true,
  open: async (path, options, check) => {
    const file = await openChecked(path, check);
    try {
      const head = Buffer.from(await file.read(0, Math.min(8, file.size)));
      const isParquet = MAGIC.equals(head.subarray(0, MAGIC.length));
      if (isParquet || isArrow(head)) {
        const source = await (isParquet ? openParquet(file, options) : openArrow(file, options));
        source.addNotes(file.notes ?? []);
        file.onNote?.((note) => source.addNotes([note]));
        return source;
      }
      throw new DdscError(
        "DATA_FORMAT",
        `${file.name}: is neither Parquet nor Arrow; of files behind addresses only these can be read in parts: download it first`,
        { file: file.name },
      );
    } catch (error) {
      file.close();
      throw error;
    }
  },
};
