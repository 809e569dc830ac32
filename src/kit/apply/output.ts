const mask = '•••';
const shortestSecret = 3;

/**
 * What a secret is called, as a word or as a part of one: PGPASSWORD, DB_PASSWORD, client-secret, aws_secret_access_key.
 * Begun at the beginning of a word only: what a kit says may be 64 KiB of one word.
 */
const called = String.raw`(?:[\w-]{0,60}(?:password|passwd|passphrase|passwort|kennwort|lozinka|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)|(?:[\w-]{0,60}[_-])?(?:pass|pwd))(?:[_-][\w-]{0,60})?`;
const quoted = String.raw`"[^"]*"|'(?:[^']|'')*'`;

/** Words that are followed by a secret, as programs and servers print them. */
const patterns: readonly [RegExp, string][] = [
  [new RegExp(String.raw`(?<![\w-])(${called}["']?\s*[=:]\s*)(?:${quoted}|[^\s,;&"'<]+)`, 'gi'), `$1${mask}`],
  [new RegExp(String.raw`(?<!\S)(-${called}\s+)(?:${quoted}|[^\s"'-]\S*)`, 'gi'), `$1${mask}`],
  [new RegExp(String.raw`(<(?:\w+:)?${called}>)[^<]+`, 'gi'), `$1${mask}`],
  [/\b(password\s+)('(?:[^']|'')*')/gi, `$1${mask}`],
  [/\b(identified\s+by\s+(?:values\s+)?)("[^"]*"|'[^']*'|[^\s;]+)/gi, `$1${mask}`],
  [/\b(authorization:\s*(?:bearer|basic)\s+)\S+/gi, `$1${mask}`],
  // user/password@database, as Oracle's tools take it.
  [
    /\b((?:sqlplus|expdp|impdp|exp|imp|rman|conn|connect|userid)\b[^\S\n]*=?(?:[^\S\n]*-\w+)*[^\S\n]*["']?[\w$#.]+\/)[^\s@"'/]+/gi,
    `$1${mask}`,
  ],
  [/(\b[a-z][a-z0-9+.-]{0,30}:\/\/[^\s:/@]*:)[^\s@/]+@/gi, `$1${mask}@`],
  [/(-----BEGIN [A-Z ]*PRIVATE KEY-----)[\s\S]*?(?=-----END|$)/g, `$1${mask}`],
];

/** Takes known secrets, and what looks like one, out of a text. */
export function redact(text: string, secrets: readonly string[]): string {
  let redacted = text;
  // The longest first: a secret may be part of another one.
  const known = secrets.filter(({ length }) => length >= shortestSecret).sort((a, b) => b.length - a.length);
  for (const secret of known) {
    for (const form of new Set([secret, encodeURIComponent(secret), secret.replaceAll("'", "''")])) {
      redacted = redacted.replaceAll(form, mask);
    }
  }
  for (const [pattern, replacement] of patterns) redacted = redacted.replaceAll(pattern, replacement);
  return redacted;
}

/** Keeps the end of what a step says, in bounded memory, and gives it out without secrets. */
export class StepOutput {
  readonly #secrets: readonly string[];
  readonly #limit: number;
  #text = '';
  bytes = 0;

  constructor(secrets: readonly string[], limit = 16_384) {
    this.#secrets = secrets;
    this.#limit = limit;
  }

  add(chunk: string): void {
    this.bytes += Buffer.byteLength(chunk);
    this.#text += chunk;
    // Twice the limit is kept, so that a cut through a secret lies outside of what is shown.
    if (this.#text.length > this.#limit * 4) this.#text = this.#text.slice(-this.#limit * 2);
  }

  line(text: string): void {
    this.add(`${text}\n`);
  }

  /** The end of it, cut at a line where that is near. */
  tail(): string {
    const clean = redact(this.#text, this.#secrets);
    if (clean.length <= this.#limit) return clean;
    const cut = clean.slice(-this.#limit);
    const newline = cut.indexOf('\n');
    return `…\n${newline === -1 || newline > 1000 ? cut : cut.slice(newline + 1)}`;
  }

  /** For progress: the last line that says something. */
  lastLine(): string {
    return this.tail().trimEnd().split('\n').at(-1)?.slice(0, 200) ?? '';
  }

  clean(text: string): string {
    return redact(text, this.#secrets);
  }
}
