/** Attributes by which AnnData (0.8 and later) tells how an element is stored. */
export const ROOT = { "encoding-type": "anndata", "encoding-version": "0.1.0" } as const;
export const ARRAY = { "encoding-type": "array", "encoding-version": "0.2.0" } as const;
export const STRINGS = { "encoding-type": "string-array", "encoding-version": "0.2.0" } as const;
export const MAPPING = { "encoding-type": "dict", "encoding-version": "0.1.0" } as const;
export const COMPRESSED_ROWS = { "encoding-type": "csr_matrix", "encoding-version": "0.1.0" } as const;
