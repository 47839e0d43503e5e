/**
 * The script of a report: lets readers go through the steps of an animation. Frames are lists of numbers into a list of pieces of
 * SVG text. Without it the page shows the end of each animation.
 */
export const REPORT_SCRIPT = `
for (const player of document.querySelectorAll(".player")) {
  const { pieces, wide, narrow } = JSON.parse(document.getElementById(player.dataset.frames).textContent);
  const figure = player.closest("figure");
  const [button, range, output] = [player.querySelector("button"), player.querySelector("input"), player.querySelector("output")];
  const last = Number(range.max);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let timer;
  const show = (step) => {
    range.value = String(step);
    output.textContent = step + " of " + last;
    range.setAttribute("aria-valuetext", "step " + step + " of " + last);
    for (const [place, frames] of [["wide", wide], ["narrow", narrow]])
      figure.querySelector("." + place).innerHTML = frames[step].map((piece) => pieces[piece]).join("");
  };
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
    button.textContent = "Play";
  };
  button.addEventListener("click", () => {
    if (timer !== undefined) return stop();
    if (Number(range.value) >= last) show(0);
    button.textContent = "Pause";
    timer = setInterval(() => {
      const next = Number(range.value) + 1;
      show(Math.min(next, last));
      if (next >= last) stop();
    }, still.matches ? 1000 : 350);
  });
  range.addEventListener("input", () => {
    stop();
    show(Number(range.value));
  });
  player.hidden = false;
}
`;
