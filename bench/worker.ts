// Measures ddsc in a process of its own, so that every instruction set and number of threads can be asked for; peer/worker.py
// is its counterpart. One line of JSON in, one out: {"open": {"what", ...SubjectOptions}} makes what is to be measured and
// answers {"device"}; {"run": true} runs it once and answers {"seconds", "evaluations"}; what fails answers {"error"}.
import { createInterface } from "node:readline";
import { secondsOf } from "./statistics.js";
import { openSubject, type Subject, type SubjectKind, type SubjectOptions } from "./subjects.js";

type Request = { readonly open: SubjectOptions & { readonly what: SubjectKind } } | { readonly run: true };

let subject: Subject | undefined;

async function answer(request: Request): Promise<object> {
  if ("open" in request) {
    subject?.[Symbol.dispose]();
    subject = undefined;
    subject = await openSubject(request.open.what, request.open);
    return { device: subject.device };
  }
  let evaluations: number | undefined;
  const seconds = await secondsOf(async () => {
    evaluations = await subject?.run();
  });
  return { seconds, evaluations: evaluations ?? null };
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(JSON.stringify(await answer(JSON.parse(line) as Request)));
  } catch (error) {
    console.log(JSON.stringify({ error: error instanceof Error ? error.message : String(error) }));
  }
}
subject?.[Symbol.dispose]();
