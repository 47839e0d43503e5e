import { setImmediate as round } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { isTurnOver, takeTurn } from "../../lib/base/turns.js";

/** Works without a pause. */
function work(milliseconds: number): void {
  const start = performance.now();
  while (performance.now() - start < milliseconds);
}

describe("a long loop", () => {
  it("lets others run between its turns, and asks for none before its turn is over", async () => {
    await takeTurn();
    work(20);
    expect(isTurnOver()).toBe(true);
    let ran = false;
    setImmediate(() => {
      ran = true;
    });
    await takeTurn();
    expect(ran).toBe(true);
    ran = false;
    setImmediate(() => {
      ran = true;
    });
    await takeTurn();
    expect(ran).toBe(false);
    await round();
  });

  it("has its turn in another round of the event loop than the other loops", async () => {
    const rounds: number[] = [];
    let now = 0;
    let counting = true;
    const count = (): void => {
      now++;
      if (counting) setImmediate(count);
    };
    setImmediate(count);
    const loop = async (): Promise<void> => {
      for (let i = 0; i < 3; i++) {
        work(10);
        await takeTurn();
        rounds.push(now);
      }
    };
    await Promise.all([loop(), loop(), loop(), loop()]);
    counting = false;
    expect(rounds).toHaveLength(12);
    expect(new Set(rounds).size).toBe(12);
  });

  it("ends with the reason of an abort", async () => {
    const stop = new AbortController();
    stop.abort(new Error("enough"));
    await expect(takeTurn(stop.signal)).rejects.toThrow("enough");
  });
});
