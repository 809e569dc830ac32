/** RMAN's own words: comments begin with #, texts stand in either quote, there is no escape. */
export interface RmanToken {
  kind: 'word' | 'number' | 'text' | 'sign' | 'end';
  /** Words in capitals. */
  text: string;
  line: number;
  column: number;
  at: number;
}

/** What cannot be read, with the place RMAN names. */
export class RmanSyntaxError extends Error {
  readonly found: RmanToken;

  constructor(found: RmanToken) {
    super(found.text);
    this.found = found;
  }
}

const pattern =
  /(?<space>\s+|#[^\n]*|--[^\n]*)|'(?<single>[^'\n]*)'|"(?<double>[^"]*)"|(?<number>\d+)(?![\w$])|(?<word>[A-Za-z][\w$#]*)|(?<sign>[;{}=,()/@.*:-])/y;

export function scanRman(program: string): RmanToken[] {
  const tokens: RmanToken[] = [];
  for (let at = 0; at < program.length;) {
    const before = program.slice(0, at);
    const place = { line: before.split('\n').length, column: at - before.lastIndexOf('\n'), at };
    pattern.lastIndex = at;
    const groups = pattern.exec(program)?.groups;
    if (groups === undefined) throw new RmanSyntaxError({ kind: 'sign', text: program[at]!, ...place });
    at = pattern.lastIndex;
    const { single, double, number, word, sign } = groups;
    if (single !== undefined || double !== undefined)
      tokens.push({ kind: 'text', text: single ?? double ?? '', ...place });
    else if (number !== undefined) tokens.push({ kind: 'number', text: number, ...place });
    else if (word !== undefined) tokens.push({ kind: 'word', text: word.toUpperCase(), ...place });
    else if (sign !== undefined) tokens.push({ kind: 'sign', text: sign, ...place });
  }
  tokens.push({
    kind: 'end',
    text: 'end-of-file',
    line: program.split('\n').length,
    column: 1,
    at: program.length,
  });
  return tokens;
}

export class RmanCursor {
  readonly program: string;
  readonly #tokens: RmanToken[];
  #next = 0;

  constructor(program: string) {
    this.program = program;
    this.#tokens = scanRman(program);
  }

  get token(): RmanToken {
    return this.#tokens[this.#next]!; // the end is a token that nothing passes
  }

  next(): RmanToken {
    const { token } = this;
    if (token.kind !== 'end') this.#next += 1;
    return token;
  }

  is(...words: string[]): boolean {
    return words.every((word, index) => {
      const token = this.#tokens[this.#next + index];
      return token !== undefined && token.kind !== 'text' && token.text === word;
    });
  }

  accept(...words: string[]): boolean {
    if (!this.is(...words)) return false;
    this.#next += words.length;
    return true;
  }

  expect(...words: string[]): void {
    if (!this.accept(...words)) throw new RmanSyntaxError(this.token);
  }

  text(): string {
    const { token } = this;
    if (token.kind !== 'text') throw new RmanSyntaxError(token);
    this.next();
    return token.text;
  }

  number(): bigint {
    const { token } = this;
    if (token.kind !== 'number') throw new RmanSyntaxError(token);
    this.next();
    return BigInt(token.text);
  }

  name(): string {
    const { token } = this;
    if (token.kind !== 'word' && token.kind !== 'text') throw new RmanSyntaxError(token);
    this.next();
    return token.text;
  }

  /** Everything up to the next semicolon, as it is written. */
  restOfStatement(from: number): string {
    while (!this.is(';') && this.token.kind !== 'end') this.next();
    return this.program.slice(from, this.token.at).trim();
  }
}
