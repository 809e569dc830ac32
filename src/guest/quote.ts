/**
 * The one place where text becomes part of a command line in a guest, beside powershell.ts for Windows. Pure: text
 * in, text out, golden-tested.
 */
import { ClonaError } from '../errors.ts';

/** One word for a POSIX shell: everything in single quotes is literal, only the quote itself must leave them. */
export function quoteSh(word: string): string {
  refuseNul(word);
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) && !word.startsWith('=')
    ? word
    : `'${word.replaceAll("'", `'\\''`)}'`;
}

export interface CommandFrame {
  cwd?: string | undefined;
  /** How many lines of assignments come first on stdin. */
  envLines?: number | undefined;
  /** Printed on stderr with the number of the command's process group, so that it can be ended. */
  groupMark?: string | undefined;
}

/** What is sent to a Linux guest's login shell, which becomes sh: the leader of the group its server made. */
export function shCommand(script: string, options: CommandFrame = {}): string {
  const lines: string[] = [];
  if (options.groupMark !== undefined) lines.push(`echo ${quoteSh(options.groupMark)}$$ >&2`);
  if (options.envLines !== undefined && options.envLines > 0) lines.push(readEnvironment(options.envLines));
  if (options.cwd !== undefined) lines.push(`cd -- ${quoteSh(options.cwd)} || exit 126`);
  lines.push(script);
  return `exec /bin/sh -c ${quoteSh(lines.join('\n'))}`;
}

/** A command and its arguments for sh; `exec` makes the command itself the receiver of signals. */
export function shScript(argv: readonly string[]): string {
  return `exec ${requireCommand(argv).map(quoteSh).join(' ')}`;
}

/**
 * Assignments for the beginning of stdin, so that no value is ever seen in a list of processes. The shell's
 * `read` takes one byte at a time from a pipe (POSIX, read utility), so the command finds the rest of stdin whole.
 */
export function shEnvironment(env: Readonly<Record<string, string>>): { text: string; lines: number } {
  const text = Object.entries(env)
    .map(([name, value]) => `export ${requireName(name)}=${quoteSh(value)}\n`)
    .join('');
  return { text, lines: text.split('\n').length - 1 };
}

function readEnvironment(lines: number): string {
  return [
    `clona_text= clona_left=${lines}`,
    'while [ "$clona_left" -gt 0 ]; do',
    'IFS= read -r clona_line || exit 126',
    'clona_text="$clona_text$clona_line',
    '" clona_left=$((clona_left - 1))',
    'done',
    'eval "$clona_text"',
    'unset clona_text clona_left clona_line',
  ].join('\n');
}

/** The program and its arguments; nothing is no command. */
export function requireCommand(argv: readonly string[]): [string, ...string[]] {
  const [program, ...rest] = argv;
  if (program === undefined || program === '')
    throw new ClonaError('guestFailed', 'there is no command to run');
  return [program, ...rest];
}

export function requireName(name: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    throw new ClonaError('guestFailed', `"${name}" is no name for an environment variable`);
  }
  return name;
}

/** No operating system takes a NUL in an argument; cutting there would run something else than was asked for. */
export function refuseNul(word: string): void {
  if (word.includes('\0')) throw new ClonaError('guestFailed', 'a command may not contain a NUL character');
}
