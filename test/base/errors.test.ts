import { expect, it } from "vitest";
import { DdscError } from "../../lib/base/errors.js";

it("a message is one line, whatever names it quotes", () => {
  const { message } = new DdscError("DATA_FORMAT", 'has no "a\nb\r\u001b[31m\u2028c\u0000"; use é 基因');
  expect(message).toBe('DATA_FORMAT: has no "a\\nb\\u000d\\u001b[31m\\u2028c\\u0000"; use é 基因');
});
