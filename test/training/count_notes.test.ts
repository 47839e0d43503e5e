import { describe, expect, it } from "vitest";
import { countNotes } from "../../lib/training/count_notes.js";

const best = (nll: number) => ({ best: { nll, step: 40 }, validatedStep: 100 });

describe("what is said at the end of a training on counts", () => {
  it("is nothing where validation fell and stayed low", () => {
    expect(countNotes(best(0.8), 0.801, 0.9, false)).toEqual([]);
    expect(countNotes(best(0.8), 0.801, undefined, true)).toEqual([]);
  });

  it("names the negative binomial that a new model began as, where it became no better than that", () => {
    const [note] = countNotes(best(0.9), 0.9, 0.9, false);
    expect(note).toMatch(
      /has learnt nothing yet.*0\.9000 nats.*negative binomial.*has 0\.9000; train for more/,
    );
  });

  it("names the start of a model that was trained before, which was no negative binomial", () => {
    const [note] = countNotes(best(0.9), 0.9, 0.8, true);
    expect(note).toMatch(/no better than before the first step: 0\.9000 nats a gene, 0\.8000 before/);
    expect(note).not.toContain("negative binomial");
  });

  it("is that the model over-fits where validation rose again", () => {
    const [note] = countNotes(best(0.8), 0.85, 0.9, true);
    expect(note).toMatch(/over-fits: validation was 0\.8000 nats a gene at step 40 and 0\.8500 at step 100/);
  });
});
