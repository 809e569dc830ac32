/** A job that is refused: the outer codes, and behind them what GET_STATUS and the tools tell. */
export class PumpRefusal extends Error {
  readonly code: number;
  readonly text: string;
  readonly details: string[];

  constructor(code: 39001 | 39002, details: string[]) {
    const text = code === 39001 ? 'invalid argument value' : 'invalid operation';
    super(`ORA-${code}: ${text}`);
    this.code = code;
    this.text = text;
    this.details = details;
  }
}

export const badDump = (...details: string[]): PumpRefusal =>
  new PumpRefusal(39001, ['ORA-39000: bad dump file specification', ...details]);

export const badOperation = (...details: string[]): PumpRefusal => new PumpRefusal(39002, details);
