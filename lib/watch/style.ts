/** How the page looks: light and dark, from 320 pixels on. */
export const STYLE = `
:root {
  --paper: #ffffff; --ink: #1b1f24; --faint: #57606a; --line: #d0d7de; --raised: #f6f8fa; --bad: #b42318; --good: #116329;
  --curve-0: #0072b2; --curve-1: #c2570c; --curve-2: #00795a; --curve-3: #a8437f; --curve-4: #6b5900; --curve-5: #2b7cb5; --curve-6: #6e40c9; --curve-7: #57606a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #0d1117; --ink: #e6edf3; --faint: #9aa4af; --line: #30363d; --raised: #161b22; --bad: #ff8a80; --good: #56d364;
    --curve-0: #4db4f0; --curve-1: #ff9a4d; --curve-2: #35c79a; --curve-3: #e58ac0; --curve-4: #e6cf4f; --curve-5: #9ad4f5; --curve-6: #b79bff; --curve-7: #9aa4af;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: 0 1rem; align-items: baseline; padding: .7rem 1.2rem; border-bottom: 1px solid var(--line); }
h1 { font-size: 1.15rem; margin: 0; }
h2 { font-size: 1rem; margin: 1.3rem 0 .5rem; }
h3 { font-size: .92rem; margin: 0 0 .2rem; font-weight: 600; overflow-wrap: anywhere; }
main { padding: 0 1.2rem 2rem; max-width: 110rem; margin: auto; }
#connection { margin: 0; color: var(--faint); }
#connection.lost { color: var(--bad); font-weight: 600; }
#notice { color: var(--faint); }
#runs-box { overflow-x: auto; }
:focus-visible { outline: 2px solid var(--curve-0); outline-offset: 2px; }
table#runs { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
#runs th, #runs td { text-align: left; vertical-align: top; padding: .4rem .7rem .4rem 0; border-bottom: 1px solid var(--line); }
#runs thead th { color: var(--faint); font-weight: 600; font-size: .85rem; white-space: nowrap; }
#runs tbody th { font-weight: 600; min-width: 11rem; max-width: 26rem; overflow-wrap: anywhere; }
#runs label { display: flex; gap: .45rem; align-items: flex-start; cursor: pointer; }
#runs input { width: 1.05rem; height: 1.05rem; margin: .15rem 0 0; flex: none; }
.swatch { flex: none; width: 1.4rem; height: 1.3rem; }
.swatch line { stroke-width: 3; }
.below { display: block; color: var(--faint); font-weight: 400; font-size: .85rem; }
.bad { color: var(--bad); }
.good { color: var(--good); }
progress { display: block; width: 100%; max-width: 9rem; height: .45rem; accent-color: var(--curve-0); }
.controls { margin: 0 0 .6rem; color: var(--faint); }
.controls label { display: inline-flex; gap: .6rem; align-items: center; }
#charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: 1rem; }
figure { margin: 0; padding: .7rem .8rem; border: 1px solid var(--line); border-radius: 6px; min-width: 0; }
figcaption { font-weight: 600; margin-bottom: .3rem; }
figcaption span { font-weight: 400; color: var(--faint); }
.plot { min-height: 240px; overflow: hidden; }
.empty { color: var(--faint); }
.uplot, .u-legend { font: inherit; }
.u-legend { font-size: .8rem; text-align: left; max-width: 100%; }
.u-legend th, .u-legend td { font-weight: 400; overflow-wrap: anywhere; }
.u-select { background: color-mix(in srgb, var(--ink) 12%, transparent); }
.u-cursor-x, .u-cursor-y { border-color: var(--faint); }
#notes article { border: 1px solid var(--line); border-radius: 6px; padding: .6rem .8rem; margin-bottom: .6rem; }
#notes ul { margin: .2rem 0 0; padding-left: 1.1rem; overflow-wrap: anywhere; }
#notes p { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 760px) {
  main, header { padding-left: .8rem; padding-right: .8rem; }
  #runs, #runs tbody { display: block; }
  #runs thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  #runs tr { display: grid; grid-template-columns: 1fr 1fr; gap: .35rem .8rem; padding: .7rem; margin-bottom: .7rem; border: 1px solid var(--line); border-radius: 6px; }
  #runs th, #runs td { border: 0; padding: 0; min-width: 0; overflow-wrap: anywhere; }
  #runs tbody th { grid-column: 1 / -1; max-width: none; }
  #runs td::before { content: attr(data-label); display: block; color: var(--faint); font-size: .78rem; }
}
`;
