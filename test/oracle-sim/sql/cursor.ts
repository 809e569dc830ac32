import { OraError } from '../wire/values.ts';
import { scan, type Token } from './lexer.ts';

/** A reader of tokens: what every parser here stands on. */
export class TokenCursor {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(sql: string) {
    this.#tokens = scan(sql);
  }

  get token(): Token {
    return this.#tokens[this.#next]!; // the end is a token, and nothing passes it
  }

  peek(ahead: number): Token {
    return this.#tokens[Math.min(this.#next + ahead, this.#tokens.length - 1)]!;
  }

  next(): Token {
    const { token } = this;
    if (token.kind !== 'end') this.#next += 1;
    return token;
  }

  is(...words: string[]): boolean {
    return words.every((word, index) => {
      const { kind, text } = this.peek(index);
      return (kind === 'word' || kind === 'operator') && text === word;
    });
  }

  /** Takes these words or operators when they all stand here. */
  accept(...words: string[]): boolean {
    if (!this.is(...words)) return false;
    for (const _ of words) this.next();
    return true;
  }

  expect(word: string, code: number, text: string): void {
    if (!this.accept(word)) throw new OraError(code, text, this.token.at);
  }

  /** A name: a word, or quoted as it stands. */
  name(): string {
    const { kind, text, at } = this.token;
    if (kind !== 'word' && kind !== 'quoted') throw new OraError(903, 'invalid table name', at);
    this.next();
    return text;
  }

  string(): string {
    const { kind, text, at } = this.token;
    if (kind !== 'string') throw new OraError(936, 'missing expression', at);
    this.next();
    return text;
  }

  atEnd(): boolean {
    this.accept(';');
    return this.token.kind === 'end';
  }
}
