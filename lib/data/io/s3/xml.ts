import { Parser } from "htmlparser2";

/**
 * Calls `take` with the names of the elements on the way to each element, its own last, and the text in it; gives whether the
 * document is whole: every element is closed, in order.
 */
export function readXml(document: string, take: (names: readonly string[], text: string) => void): boolean {
  const names: string[] = [];
  const texts: string[] = [];
  let isWhole = true;
  let closed = 0;
  const parser = new Parser(
    {
      onopentagname: (name) => {
        names.push(name);
        texts.push("");
      },
      ontext: (text) => {
        if (texts.length > 0) texts[texts.length - 1] += text;
      },
      onclosetag: (_, implied) => {
        if (implied) isWhole = false;
        take(names, texts.pop() ?? "");
        names.pop();
        closed++;
      },
    },
    { xmlMode: true, decodeEntities: true },
  );
  parser.end(document);
  return isWhole && closed > 0;
}
