/** What the caller of a task hears of it, and how it names arguments to its user. */
export interface TaskHooks {
  /** Told what a reader should know, as it is found. */
  readonly onNote: (note: string) => void;
  /** An argument as a user gives it, for messages: "where", or "--where". */
  readonly nameOf: (argument: string) => string;
}

/** Collects the notes of a task that is called from a program. */
export function collectNotes(): TaskHooks & { readonly notes: readonly string[] } {
  const notes: string[] = [];
  return { notes, onNote: (note) => notes.push(note), nameOf: (argument) => argument };
}
