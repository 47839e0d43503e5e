/**
 * The style sheet of a report: light and dark, screens of any width, paper.
 *
 * @param light declarations of the figures' colours, as `themeProperties` gives them
 * @param dark the same for dark screens
 */
export function reportStyle(light: string, dark: string): string {
  return `
:root { color-scheme: light dark; ${light}
  --ground: #ffffff; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --panel: #f6f8fa; --link: #0550ae; --good: #116329; --bad: #82071e; }
@media (prefers-color-scheme: dark) { :root { ${dark}
  --ground: #14171b; --ink: #e6e9ec; --soft: #a3adb8; --line: #3a424b; --panel: #1d2228; --link: #79b8ff; --good: #7ee09a; --bad: #ff9ba1; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--ground); padding: .5rem 1rem; z-index: 1; }
header, main, nav, footer { max-width: 54rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.5rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 2.75rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .25rem; }
.soft, figcaption { color: var(--soft); }
.verdict { border-left: .4rem solid var(--soft); background: var(--panel); padding: .75rem 1rem; margin: 1.25rem 0; font-size: 1.1rem; }
.verdict.beaten { border-color: var(--good); } .verdict.not-beaten { border-color: var(--bad); }
.verdict p { margin: 0; } .verdict p + p { margin-top: .5rem; font-size: 1rem; }
nav ol { columns: 2; column-gap: 2rem; padding-left: 1.4rem; margin: .5rem 0 0; }
nav h2 { border: 0; margin: 1.5rem 0 0; padding: 0; font-size: 1.05rem; }
figure { margin: 1.25rem 0 2rem; break-inside: avoid; }
figure svg { display: block; width: 100%; height: auto; overflow: visible; }
figure svg image { image-rendering: pixelated; }
figcaption { font-size: .92rem; margin-top: .25rem; }
figcaption strong { color: var(--ink); }
.narrow { display: none; }
details { margin-top: .4rem; font-size: .92rem; }
summary { cursor: pointer; width: fit-content; }
.table { overflow: auto; max-height: 24rem; border: 1px solid var(--line); margin: .4rem 0; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .35rem .6rem; color: var(--soft); }
th, td { padding: .2rem .6rem; border-top: 1px solid var(--line); text-align: right; vertical-align: top; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { border-top: 0; background: var(--panel); }
.missing { border: 1px dashed var(--line); padding: .6rem .8rem; color: var(--soft); }
dl { display: grid; grid-template-columns: minmax(8rem, 16rem) 1fr; gap: .15rem 1rem; margin: .5rem 0; }
dt { color: var(--soft); } dd { margin: 0; }
pre { background: var(--panel); border: 1px solid var(--line); padding: .6rem .8rem; white-space: pre-wrap; font-size: .85rem; }
.player { display: flex; gap: .8rem; align-items: center; flex-wrap: wrap; margin-top: .5rem; }
.player[hidden] { display: none; }
.player button { font: inherit; color: var(--ink); background: var(--panel); border: 1px solid var(--soft); border-radius: .3rem; padding: .25rem .9rem; min-width: 5.5rem; cursor: pointer; }
.player label { display: flex; gap: .6rem; align-items: center; flex: 1 1 14rem; }
.player input { flex: 1; min-width: 8rem; accent-color: var(--link); }
footer { margin-top: 3rem; padding-bottom: 2rem; color: var(--soft); font-size: .9rem; }
@media (max-width: 40rem) {
  .wide { display: none; } .narrow { display: block; }
  nav ol { columns: 1; } dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } h1 { font-size: 1.4rem; }
}
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
@media print {
  :root { color-scheme: light; ${light}
    --ground: #ffffff; --ink: #000000; --soft: #444444; --line: #bbbbbb; --panel: #ffffff; --link: #000000; --good: #116329; --bad: #82071e; }
  .wide { display: block; } .narrow, nav, .player, .skip, figure details { display: none; }
  body { font-size: 10pt; } header, main, footer { max-width: none; padding: 0; }
  h2, h3 { break-after: avoid; } a { text-decoration: none; }
}
`;
}
