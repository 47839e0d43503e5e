/** How a file begins, and ends. */
export const FILE_MAGIC = "ARROW1";
