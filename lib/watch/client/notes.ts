import { byId, element } from "./dom.js";
import type { Runs } from "./runs.js";

/** Notes and errors of the runs, below the curves. */
export class NotesList {
  readonly #runs: Runs;
  readonly #place = byId("notes");
  #shown = "";

  constructor(runs: Runs) {
    this.#runs = runs;
  }

  draw(): void {
    const told = this.#runs.all.flatMap(({ info }) =>
      info === undefined || (info.error === null && info.notes.length === 0) ? [] : [info],
    );
    const key = JSON.stringify(told.map(({ id, error, notes }) => [id, error, notes]));
    if (key === this.#shown) return;
    this.#shown = key;
    if (told.length === 0) {
      this.#place.replaceChildren(element("p", { class: "empty" }, "There are none."));
      return;
    }
    this.#place.replaceChildren(
      ...told.map(({ name, error, notes }) =>
        element(
          "article",
          {},
          element("h3", {}, name),
          ...(error === null ? [] : [element("p", { class: "bad" }, `${error.code}: ${error.message}`)]),
          ...(notes.length === 0 ? [] : [element("ul", {}, ...notes.map((note) => element("li", {}, note)))]),
        ),
      ),
    );
  }
}
