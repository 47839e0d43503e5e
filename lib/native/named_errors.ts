import { DdscError } from "../base/errors.js";

/** Waits for native code, whose errors do not know which file they are about. */
export async function nativeErrors<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DdscError)) throw error;
    const text = error.message.slice(error.code.length + 2);
    const remedy = error.code === "DATA_CORRUPT" ? "; fetch or write the file again" : "";
    throw new DdscError(error.code, `${name}: ${text}${remedy}`, { file: name }, { cause: error });
  }
}
