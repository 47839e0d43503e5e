/** The numbers that a figure shows, for readers who cannot see it or want them. */
export interface FigureTable {
  readonly columns: readonly string[];
  /** One list a row, in the order of the columns; null: no value. */
  readonly rows: readonly (readonly (string | number | null)[])[];
}

/** What a figure is made of. */
export interface FigureParts {
  /** Name of its file without the ending: lower case, digits and hyphens, such as "calibration". */
  readonly name: string;
  /** The one question that it answers, or its answer. */
  readonly title: string;
  /** What there is to see, in a sentence or two: the text alternative. */
  readonly description: string;
  /** A whole SVG document with `role="img"`, the title and the description in it, and no script, style sheet or address. */
  readonly svg: string;
  readonly table: FigureTable;
}

/** What notebooks (Deno's kernel) call to show a value: it gives representations by media type. */
export const NOTEBOOK_DISPLAY: unique symbol = Symbol.for("Jupyter.display") as never;

/** A figure: a picture, what it shows in words, and its numbers. */
export class Figure implements FigureParts {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly svg: string;
  readonly table: FigureTable;

  constructor(parts: FigureParts) {
    this.name = parts.name;
    this.title = parts.title;
    this.description = parts.description;
    this.svg = parts.svg;
    this.table = parts.table;
  }

  /** The SVG document. */
  toString(): string {
    return this.svg;
  }

  /** Shows the figure in a notebook. */
  [NOTEBOOK_DISPLAY](): Readonly<Record<string, string>> {
    return { "image/svg+xml": this.svg, "text/plain": `${this.title}\n${this.description}` };
  }
}
