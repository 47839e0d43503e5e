/** SVG as a tree of plain objects, and its text. */

/** An element. Only the elements and attributes below are written, so that no figure can hold a script, a style sheet or an address. */
export interface SvgNode {
  readonly tag: string;
  readonly attributes: Readonly<Record<string, string | number | undefined>>;
  readonly children: readonly (SvgNode | string)[];
}

const TAGS: ReadonlySet<string> = new Set(
  "svg title desc g path rect circle line text tspan image clipPath".split(" "),
);

/** Attributes whose numbers are rounded to hundredths of a pixel. */
const GEOMETRY: ReadonlySet<string> = new Set(
  "d transform x y x1 y1 x2 y2 cx cy r rx dx dy width height".split(" "),
);
const OTHERS: ReadonlySet<string> = new Set(
  (
    "xmlns viewBox role aria-labelledby aria-describedby id clip-path href preserveAspectRatio fill fill-opacity stroke " +
    "stroke-width stroke-opacity stroke-dasharray stroke-linecap stroke-linejoin opacity font-family font-size font-weight " +
    "font-variant text-anchor image-rendering paint-order"
  ).split(" "),
);

/** What stands before every id until all of the figure is known; no text holds it. */
const PREFIX = "\u0000";
const CLIP = new RegExp(`${PREFIX}plot-clip-\\d+`, "g");

/** Makes an element. */
export function node(
  tag: string,
  attributes: SvgNode["attributes"],
  ...children: readonly (SvgNode | string)[]
): SvgNode {
  return { tag, attributes, children };
}

/** Moves some elements. */
export function moved(x: number, y: number, ...children: readonly SvgNode[]): SvgNode {
  return node("g", { transform: `translate(${x},${y})` }, ...children);
}

/** What of an element of a document is read: those of linkedom are of this kind. */
export interface DocumentNode {
  readonly nodeType: number;
  readonly localName?: string;
  readonly textContent: string | null;
  readonly childNodes: Iterable<DocumentNode>;
  readonly attributes?: Iterable<{ readonly name: string; readonly value: string }>;
}

/** An element of a document as a tree; what is not drawn is left out, and `currentColor` is `ink`. */
export function fromDocument(element: DocumentNode, ink: string): SvgNode {
  const attributes = Object.fromEntries(
    Array.from(element.attributes ?? [], ({ name, value }) => [
      name === "xlink:href" ? "href" : name,
      value === "currentColor" ? ink : value,
    ]),
  );
  const children = Array.from(element.childNodes).flatMap((child): (SvgNode | string)[] => {
    if (child.nodeType === 3) return [child.textContent ?? ""];
    return child.nodeType === 1 && TAGS.has(child.localName ?? "") ? [fromDocument(child, ink)] : [];
  });
  return { tag: element.localName ?? "g", attributes, children };
}

/**
 * The text of a figure. Ids begin with `idOf`, which is told the text without them: so they differ between the figures of a page, and
 * are the same for the same figure.
 */
export function svgText(root: SvgNode, idOf: (text: string) => string): string {
  // Plot numbers what it clips by as long as the process lives.
  const clips = new Map<string, string>();
  const text = written(root).replaceAll(CLIP, (id) => {
    const own = clips.get(id) ?? `${PREFIX}clip-${clips.size + 1}`;
    clips.set(id, own);
    return own;
  });
  return text.replaceAll(PREFIX, idOf(text));
}

function written({ tag, attributes, children }: SvgNode): string {
  const list = Object.entries(attributes).map(([name, value]) =>
    value === undefined ? "" : attributeText(name, String(value)),
  );
  const inner = children.map((child) => (typeof child === "string" ? escaped(child) : written(child)));
  // A group without anything in it, such as ticks that there are none of.
  if (tag === "g" && inner.length === 0) return "";
  const open = `<${tag}${list.join("")}`;
  return inner.length === 0 ? `${open}/>` : `${open}>${inner.join("")}</${tag}>`;
}

function attributeText(name: string, value: string): string {
  if (GEOMETRY.has(name)) return ` ${name}="${rounded(escaped(value))}"`;
  if (!OTHERS.has(name)) return "";
  if (name === "id") return ` id="${PREFIX}${escaped(value)}"`;
  if (name.startsWith("aria-")) return ` ${name}="${PREFIX}${escaped(value)}"`;
  if (name === "clip-path") return ` clip-path="${escaped(value).replace("url(#", `url(#${PREFIX}`)}"`;
  if (name === "href" && !value.startsWith("data:image/png;base64,")) return "";
  return ` ${name}="${escaped(value)}"`;
}

function rounded(value: string): string {
  return value.replaceAll(/-?\d+\.\d+(?:e-?\d+)?/g, (text) => String(Math.round(Number(text) * 100) / 100));
}

/** Characters that XML cannot hold. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that are looked for
const NO_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff\p{Cs}]/gu;
const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as XML and HTML hold it, in elements and in attributes. */
export function escaped(text: string): string {
  return text
    .replaceAll(NO_XML, "\ufffd")
    .replaceAll(/[&<>"']/g, (character) => ENTITIES[character] as string);
}
