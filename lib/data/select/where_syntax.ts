import { DdscError } from "../../base/errors.js";

/** A value in a condition. */
export type WhereValue = string | number | boolean;
/** How a column compares with a value. */
export type WhereOperator = "=" | "!=" | "<" | "<=" | ">" | ">=";

/** A column as it stands in the text. */
export interface ColumnName {
  readonly name: string;
  /** Place of its first character in the text, from 1. */
  readonly at: number;
}

/** A condition on the metadata of a cell, as a tree. */
export type Condition =
  | {
      readonly kind: "compare";
      readonly column: ColumnName;
      readonly operator: WhereOperator;
      readonly value: WhereValue;
    }
  | {
      readonly kind: "in";
      readonly column: ColumnName;
      readonly values: readonly WhereValue[];
      readonly negated: boolean;
    }
  | { readonly kind: "null"; readonly column: ColumnName; readonly negated: boolean }
  | { readonly kind: "not"; readonly of: Condition }
  | { readonly kind: "and" | "or"; readonly of: readonly Condition[] };

type Token =
  | {
      readonly kind: "word" | "name" | "text" | "symbol";
      readonly text: string;
      readonly at: number;
      readonly shown: string;
    }
  | {
      readonly kind: "number";
      readonly text: string;
      readonly value: number;
      readonly at: number;
      readonly shown: string;
    }
  | { readonly kind: "end"; readonly text: ""; readonly at: number; readonly shown: string };

const SPACE = /\s+/y;
const NUMBER = /[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?/y;
const WORD = /[\p{L}_][\p{L}\p{N}_.-]*/uy;
const TEXT = /'((?:[^']|'')*)'/y;
const NAME = /"((?:[^"]|"")*)"/y;
const SYMBOL = /<=|>=|<>|!=|==|[=<>(),]/y;
const KEYWORDS = new Set(["and", "or", "not", "in", "is", "null", "true", "false"]);
/** Parentheses and `not` inside each other, at most. */
const MOST_DEPTH = 100;

/**
 * Reads a condition:
 *
 *     condition  = and { "or" and }             and = unary { "and" unary }
 *     unary      = "not" unary | "(" condition ")" | test
 *     test       = column ( operator value | ["not"] "in" "(" value { "," value } ")" | "is" ["not"] "null" )
 *     operator   = "=" | "!=" | "<>" | "<" | "<=" | ">" | ">="
 *     value      = 'text' | number | "true" | "false"
 *
 * A quote inside text is doubled ('Huntington''s'). A column is a word of letters, digits, _ . and -, or anything in
 * double quotes. Words of the language may be written in capitals. Throws `ARGUMENT_WHERE`, naming the place.
 */
export function parseWhere(text: string): Condition {
  const parser = new Parser(text);
  return parser.whole();
}

/** The error for a condition that cannot be used. `at` is a place in the text, from 1. */
export function whereError(text: string, at: number, problem: string): DdscError {
  const shown = text.length > 200 ? `${text.slice(0, 200)}...` : text;
  return new DdscError("ARGUMENT_WHERE", `${problem}, at character ${at} of: ${shown.replace(/\s+/g, " ")}`, {
    argument: "where",
  });
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = this.#scan();
  }

  whole(): Condition {
    const condition = this.#condition();
    const after = this.#peek();
    if (after.kind !== "end") throw this.#unexpected(after, '"and", "or" or the end');
    return condition;
  }

  #condition(): Condition {
    return this.#list("or", () => this.#list("and", () => this.#unary()));
  }

  #list(kind: "and" | "or", part: () => Condition): Condition {
    const first = part();
    const of = [first];
    while (this.#takeWord(kind)) of.push(part());
    return of.length === 1 ? first : { kind, of };
  }

  #unary(): Condition {
    const token = this.#peek();
    if (++this.#depth > MOST_DEPTH) {
      throw whereError(
        this.#text,
        token.at,
        `more than ${MOST_DEPTH} conditions inside each other; write it flatter`,
      );
    }
    try {
      if (this.#takeWord("not")) return { kind: "not", of: this.#unary() };
      if (!this.#takeSymbol("(")) return this.#test();
      const condition = this.#condition();
      this.#needSymbol(")");
      return condition;
    } finally {
      this.#depth--;
    }
  }

  #test(): Condition {
    const column = this.#column();
    if (this.#takeWord("is")) {
      const negated = this.#takeWord("not");
      if (!this.#takeWord("null"))
        throw this.#unexpected(this.#peek(), negated ? '"null"' : '"null" or "not null"');
      return { kind: "null", column, negated };
    }
    const negated = this.#takeWord("not");
    if (negated || isKeyword(this.#peek(), "in")) {
      if (!this.#takeWord("in")) throw this.#unexpected(this.#peek(), '"in"');
      this.#needSymbol("(");
      const values = [this.#value()];
      while (this.#takeSymbol(",")) values.push(this.#value());
      this.#needSymbol(")");
      return { kind: "in", column, values, negated };
    }
    const token = this.#peek();
    const operator = OPERATORS.get(token.kind === "symbol" ? token.text : "");
    if (operator === undefined)
      throw this.#unexpected(token, 'a comparison (=, !=, <, <=, >, >=), "in" or "is"');
    this.#next++;
    return { kind: "compare", column, operator, value: this.#value() };
  }

  #column(): ColumnName {
    const token = this.#peek();
    const named = token.kind === "name" || (token.kind === "word" && !KEYWORDS.has(token.text.toLowerCase()));
    if (!named) throw this.#unexpected(token, "the name of a column");
    this.#next++;
    return { name: token.text, at: token.at };
  }

  #value(): WhereValue {
    const token = this.#peek();
    if (token.kind === "number" || token.kind === "text") {
      this.#next++;
      return token.kind === "number" ? token.value : token.text;
    }
    if (this.#takeWord("true")) return true;
    if (this.#takeWord("false")) return false;
    const quoted =
      token.kind === "word" || token.kind === "name" ? ` (put text in single quotes: '${token.text}')` : "";
    throw this.#unexpected(token, `a value${quoted}`);
  }

  #peek(): Token {
    const token = this.#tokens[Math.min(this.#next, this.#tokens.length - 1)];
    return token ?? { kind: "end", text: "", at: this.#text.length + 1, shown: "the end" };
  }

  #takeWord(word: string): boolean {
    const found = isKeyword(this.#peek(), word);
    if (found) this.#next++;
    return found;
  }

  #takeSymbol(symbol: string): boolean {
    const token = this.#peek();
    const found = token.kind === "symbol" && token.text === symbol;
    if (found) this.#next++;
    return found;
  }

  #needSymbol(symbol: string): void {
    if (!this.#takeSymbol(symbol)) throw this.#unexpected(this.#peek(), `"${symbol}"`);
  }

  #unexpected(token: Token, wanted: string): DdscError {
    return whereError(this.#text, token.at, `expected ${wanted} but found ${token.shown}`);
  }

  #scan(): Token[] {
    const tokens: Token[] = [];
    let place = 0;
    const take = (pattern: RegExp): RegExpExecArray | null => {
      pattern.lastIndex = place;
      const found = pattern.exec(this.#text);
      if (found !== null) place += found[0].length;
      return found;
    };
    for (;;) {
      take(SPACE);
      const at = place + 1;
      if (place === this.#text.length) return [...tokens, { kind: "end", text: "", at, shown: "the end" }];
      tokens.push(this.#token(at, take));
    }
  }

  #token(at: number, take: (pattern: RegExp) => RegExpExecArray | null): Token {
    const number = take(NUMBER)?.[0];
    if (number !== undefined)
      return { kind: "number", text: number, value: Number(number), at, shown: number };
    const word = take(WORD)?.[0];
    if (word !== undefined) return { kind: "word", text: word, at, shown: `"${word}"` };
    const text = take(TEXT);
    if (text !== null)
      return { kind: "text", text: (text[1] ?? "").replaceAll("''", "'"), at, shown: text[0] };
    const name = take(NAME);
    if (name !== null)
      return { kind: "name", text: (name[1] ?? "").replaceAll('""', '"'), at, shown: name[0] };
    const symbol = take(SYMBOL)?.[0];
    if (symbol !== undefined) return { kind: "symbol", text: symbol, at, shown: `"${symbol}"` };
    const found = String.fromCodePoint(this.#text.codePointAt(at - 1) ?? 32);
    const problem =
      found === "'" || found === '"' ? `a quote ${found} that is not closed` : `cannot read "${found}"`;
    throw whereError(this.#text, at, problem);
  }
}

const OPERATORS: ReadonlyMap<string, WhereOperator> = new Map([
  ["=", "="],
  ["==", "="],
  ["!=", "!="],
  ["<>", "!="],
  ["<", "<"],
  ["<=", "<="],
  [">", ">"],
  [">=", ">="],
]);

function isKeyword(token: Token, word: string): boolean {
  return token.kind === "word" && token.text.toLowerCase() === word;
}
