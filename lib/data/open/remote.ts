import { DdscError } from "../../base/errors.js";
import { isArrow, openArrow } from "../arrow/arrow.js";
import { openRandomAccess } from "../io/random_access_open.js";
import { openParquet } from "../parquet/parquet.js";
import type { CellFormat } from "../sources/format.js";

/** Files behind http(s) addresses: those formats that are read by ranges, told apart by their first bytes. */
export const remote: CellFormat = {
  name: "Parquet or Arrow at an http(s) address",
  onlyAddresses: true,
  matches: (content) => content.kind === "url",
  open: async (path, options) => {
    const file = await openRandomAccess(path);
    try {
      const head = Buffer.from(await file.read(0, Math.min(8, file.size)));
      if (head.toString("latin1", 0, 4) === "PAR1") return await openParquet(file, options);
      if (isArrow(head)) return await openArrow(file, options);
      throw new DdscError(
        "DATA_FORMAT",
        `${path}: is neither Parquet nor Arrow; of files behind addresses only these can be read in parts: download it first`,
        { file: path },
      );
    } catch (error) {
      file.close();
      throw error;
    }
  },
};
