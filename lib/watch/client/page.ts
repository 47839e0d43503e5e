/** The page of `ddsc watch`: takes in the server's events and shows the runs. */
import type { WatchEventName, WatchEvents } from "../messages.js";
import { Charts } from "./charts.js";
import { byId, setText } from "./dom.js";
import { NotesList } from "./notes.js";
import { Runs } from "./runs.js";
import { RunsTable } from "./table.js";

/** Milliseconds between drawings, and before a connection that a browser gave up is made anew. */
const DRAW_EVERY = 250;
const COME_BACK_AFTER = 2000;

const runs = new Runs();
const charts = new Charts(runs);
const table = new RunsTable(runs, drawSoon);
const notes = new NotesList(runs);

let waiting = false;

/** Draws once for all that comes within a moment. */
function drawSoon(): void {
  if (waiting) return;
  waiting = true;
  setTimeout(() => {
    waiting = false;
    table.draw();
    charts.draw();
    notes.draw();
  }, DRAW_EVERY);
}

const handlers: { readonly [Name in WatchEventName]: (data: WatchEvents[Name]) => void } = {
  reset: () => runs.clear(),
  run: (info) => runs.setInfo(info),
  curve: (change) => runs.changeCurve(change),
  validations: (change) => runs.changeValidations(change),
  gone: ({ id }) => runs.remove(id),
  notice: ({ text }) => {
    const notice = byId("notice");
    notice.hidden = text === "";
    setText(notice, text);
  },
};

function say(text: string, lost: boolean): void {
  const place = byId("connection");
  setText(place, text);
  place.classList.toggle("lost", lost);
}

function connect(): void {
  const source = new EventSource("/events");
  source.addEventListener("open", () => say("live", false));
  source.addEventListener("error", () => {
    say("no connection: trying again; ddsc may have ended", true);
    // A browser tries again by itself, but not after an answer that is none.
    if (source.readyState !== EventSource.CLOSED) return;
    source.close();
    setTimeout(connect, COME_BACK_AFTER);
  });
  const listen = <Name extends WatchEventName>(name: Name) => {
    source.addEventListener(name, (event: MessageEvent<string>) => {
      // The server's own events, of the types that both share.
      handlers[name](JSON.parse(event.data) as WatchEvents[Name]);
      drawSoon();
    });
  };
  for (const name of ["reset", "run", "curve", "validations", "gone", "notice"] as const) listen(name);
}

const smoothing = byId("smoothing") as HTMLInputElement;
function smooth(): void {
  charts.smoothing = Number(smoothing.value);
  setText(byId("smoothing-value"), smoothing.value);
  drawSoon();
}
smoothing.addEventListener("input", smooth);
smooth();
connect();
