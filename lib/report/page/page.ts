import { escaped } from "../../plots/markup.js";
import { themed, themeProperties } from "../../plots/theme.js";
import type { DrawnFigure, FigureName, ReportFigures } from "../figures.js";
import type { FactGroup, ReportData } from "../report_data.js";
import { type Frames, framesOf } from "./frames.js";
import { hashSource, scriptJson } from "./markup.js";
import { REPORT_SCRIPT } from "./script.js";
import { type Section, sectionsOf } from "./sections.js";
import { reportStyle } from "./style.js";
import { tableHtml } from "./tables.js";

/** Bytes of a page, at most. */
const MOST_BYTES = 3_000_000;
/** Rows of a table, tried one after the other until the page is small enough. */
const MOST_ROWS = [1000, 300, 60] as const;
/** Characters of a caption, about: whole sentences, at least one. */
const CAPTION = 320;
/** Notes that are shown, at most. */
const MOST_NOTES = 20;

/**
 * The page: one HTML document with all that it needs in it, which asks for nothing elsewhere and runs no script but its own (a policy
 * in its head forbids both). All that came from files is text in it.
 */
export function reportHtml(data: ReportData, figures: ReportFigures): string {
  let page = "";
  for (const rows of MOST_ROWS) {
    page = pageOf(data, figures, rows);
    if (Buffer.byteLength(page) <= MOST_BYTES) break;
  }
  return page;
}

function pageOf(data: ReportData, drawn: ReportFigures, mostRows: number): string {
  const style = reportStyle(themeProperties("light"), themeProperties("dark"));
  const policy =
    `default-src 'none'; style-src ${hashSource(style)}; script-src ${hashSource(REPORT_SCRIPT)}; img-src data:; ` +
    "base-uri 'none'; form-action 'none'";
  const sections = sectionsOf(data, mostRows);
  const title = `${data.name}: report of a model of ${data.kind}`;
  const contents = [
    ...sections.map(({ id, title: text }) => [id, text] as const),
    ["provenance", "Data, model and machine"] as const,
    ["again", "Make it again"] as const,
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the figures</a>
<header>
<h1>${escaped(data.name)}</h1>
<p class="soft">Report of a model of ${data.kind}, made ${escaped(data.made.slice(0, 16).replace("T", " "))} UTC by ddsc.</p>
${verdictHtml(data)}
</header>
<nav aria-label="Contents"><h2>Contents</h2><ol>${contents
    .map(([id, text]) => `<li><a href="#${id}">${escaped(text)}</a></li>`)
    .join("")}</ol></nav>
<main id="main" tabindex="-1">
${sections.map((section) => sectionHtml(section, drawn, mostRows)).join("\n")}
<section aria-labelledby="provenance"><h2 id="provenance">Data, model and machine</h2>
${data.facts.map(factsHtml).join("\n")}
${notesHtml(data.notes)}
</section>
<section aria-labelledby="again"><h2 id="again">Make it again</h2>
${data.commands.map((command) => `<pre><code>${escaped(command)}</code></pre>`).join("\n")}
</section>
</main>
<footer><p>Held-out cells alone are scored. Intervals are 95%, by a bootstrap over cells. How to read each figure: docs/report.md of the package.</p></footer>
<script>${REPORT_SCRIPT}</script>
</body>
</html>
`;
}

function verdictHtml({ verdict, beaten, cells }: ReportData): string {
  const kind = beaten === undefined ? "" : beaten ? " beaten" : " not-beaten";
  return `<div class="verdict${kind}"><p><strong>${escaped(verdict)}</strong></p><p>${escaped(cells)}</p></div>`;
}

function sectionHtml(section: Section, drawn: ReportFigures, mostRows: number): string {
  const { id, title, intro, missing, figures, end = "" } = section;
  const head = `<section aria-labelledby="${id}"><h2 id="${id}">${escaped(title)}</h2>`;
  if (missing !== undefined) return `${head}${missingHtml(missing)}</section>`;
  const shown = figures.map((name) => figureHtml(name, drawn, mostRows));
  return `${head}${intro}${shown.join("\n")}${end}</section>`;
}

function missingHtml(why: string): string {
  return `<p class="missing">Not in this report: ${escaped(why)}.</p>`.replace("..</p>", ".</p>");
}

function figureHtml(name: FigureName, { figures, animations }: ReportFigures, mostRows: number): string {
  const part = figures.get(name);
  if (part === undefined) return "";
  if ("missing" in part) return missingHtml(part.missing);
  const animation = animations.get(name);
  const player = animation === undefined ? "" : playerHtml(name, framesOf(animation, shown));
  return `<figure id="figure-${name}">${picturesHtml(part.made)}${player}${captionHtml(part.made)}${dataHtml(part.made, mostRows)}</figure>`;
}

/** A figure's SVG text as the page holds it: in the colours of its style sheet. */
function shown(svg: string): string {
  return themed(svg.replace(/^<\?xml[^>]*\?>\s*/, ""), "css");
}

function picturesHtml({ wide, narrow }: DrawnFigure): string {
  return `<div class="wide">${shown(wide.svg)}</div><div class="narrow">${shown(narrow.svg)}</div>`;
}

/** The picture has its title, and its whole description for those who cannot see it. */
function captionHtml({ wide: { description } }: DrawnFigure): string {
  const sentences = description.split(/(?<=\.) (?=\p{Lu})/u);
  let caption = "";
  for (const sentence of sentences) {
    if (caption !== "" && caption.length + sentence.length > CAPTION) break;
    caption += `${caption === "" ? "" : " "}${sentence}`;
  }
  return `<figcaption>${escaped(caption.replace(/^./u, (first) => first.toUpperCase()))}</figcaption>`;
}

function dataHtml({ wide: { title, table } }: DrawnFigure, mostRows: number): string {
  return `<details><summary>Data<span class="soft"> of “${escaped(title)}”</span></summary>${tableHtml(table, title, mostRows)}</details>`;
}

function playerHtml(name: FigureName, frames: Frames): string {
  const last = frames.wide.length - 1;
  return (
    `<div class="player" data-frames="frames-${name}" hidden><button type="button">Play</button>` +
    `<label>Step <input type="range" min="0" max="${last}" value="${last}" step="1" aria-valuetext="step ${last} of ${last}"></label>` +
    `<output>${last} of ${last}</output></div>` +
    `<script type="application/json" id="frames-${name}">${scriptJson(frames)}</script>`
  );
}

function factsHtml({ title, facts }: FactGroup): string {
  const rows = facts.map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>`);
  return `<h3>${escaped(title)}</h3><dl>${rows.join("")}</dl>`;
}

function notesHtml(notes: readonly string[]): string {
  if (notes.length === 0) return "";
  const some = notes.slice(0, MOST_NOTES).map((note) => `<li>${escaped(note)}</li>`);
  const left = notes.length - some.length;
  return `<h3>Notes</h3><ul>${some.join("")}${left > 0 ? `<li>and ${left} more</li>` : ""}</ul>`;
}
