/**
 * The one place where text becomes part of a command line in a guest. Pure: text in, text out, golden-tested.
 */
import { ClonaError } from '../errors.ts';

/** cmd.exe, the default shell of OpenSSH on Windows, takes no longer line. */
const longestWindowsCommand = 8000;

/** One word for a POSIX shell: everything in single quotes is literal, only the quote itself must leave them. */
export function quoteSh(word: string): string {
  refuseNul(word);
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) && !word.startsWith('=')
    ? word
    : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** One literal for PowerShell. It also closes strings at typographic quotes, which are doubled like the plain one. */
export function quotePowerShell(word: string): string {
  refuseNul(word);
  return `'${word.replaceAll(/['\u2018\u2019\u201A\u201B]/g, '$&$&')}'`;
}

/** One argument by the rules of CommandLineToArgvW: backslashes count only in front of a double quote. */
export function quoteWindowsArgument(word: string): string {
  refuseNul(word);
  if (word !== '' && !/[\s"]/.test(word)) return word;
  return `"${word.replaceAll(/(\\*)"/g, '$1$1\\"').replace(/(\\+)$/, '$1$1')}"`;
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

/** What is sent to a Windows guest, whichever its default shell: the script travels as base64 of UTF-16. */
export function powerShellCommand(script: string, options: CommandFrame = {}): string {
  const lines = ["$ErrorActionPreference = 'Stop'", "$ProgressPreference = 'SilentlyContinue'"];
  if (options.envLines !== undefined && options.envLines > 0) lines.push(readWindowsEnvironment());
  if (options.cwd !== undefined) lines.push(`Set-Location -LiteralPath ${quotePowerShell(options.cwd)}`);
  lines.push(script);
  const encoded = Buffer.from(lines.join('\n'), 'utf16le').toString('base64');
  const command = `powershell.exe -NoLogo -NoProfile -NonInteractive -EncodedCommand ${encoded}`;
  if (command.length > longestWindowsCommand) {
    throw new ClonaError('guestFailed', 'the PowerShell script is too long for one command line', {
      hint: 'upload it as a file and run that',
    });
  }
  return command;
}

/**
 * A command for PowerShell. Its own way of passing arguments loses double quotes (about_Parsing, before 7.3), so
 * the command line is quoted here and given to the process as it is; stdin and stdout are inherited untouched.
 */
export function powerShellScript(argv: readonly string[]): string {
  const [program, ...rest] = requireCommand(argv);
  return [
    '$start = New-Object System.Diagnostics.ProcessStartInfo',
    `$start.FileName = ${quotePowerShell(program)}`,
    `$start.Arguments = ${quotePowerShell(rest.map(quoteWindowsArgument).join(' '))}`,
    '$start.WorkingDirectory = (Get-Location).ProviderPath',
    '$start.UseShellExecute = $false',
    '$child = [System.Diagnostics.Process]::Start($start)',
    '$child.WaitForExit()',
    'exit $child.ExitCode',
  ].join('\n');
}

/** One line of stdin: base64 of `NAME=value` pairs, divided by NUL. */
export function powerShellEnvironment(env: Readonly<Record<string, string>>): {
  text: string;
  lines: number;
} {
  const pairs = Object.entries(env).map(([name, value]) => {
    refuseNul(value);
    return `${requireName(name)}=${value}`;
  });
  if (pairs.length === 0) return { text: '', lines: 0 };
  return { text: `${Buffer.from(pairs.join('\0'), 'utf8').toString('base64')}\n`, lines: 1 };
}

/** Read byte by byte, because a reader with a buffer would swallow the start of the command's own stdin. */
function readWindowsEnvironment(): string {
  return [
    '$source = [Console]::OpenStandardInput()',
    '$line = New-Object System.Text.StringBuilder',
    'while (($byte = $source.ReadByte()) -ne 10) { if ($byte -lt 0) { exit 126 }; [void]$line.Append([char]$byte) }',
    '$text = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($line.ToString()))',
    "foreach ($pair in $text.Split([char]0)) { $name, $value = $pair.Split('=', 2); [Environment]::SetEnvironmentVariable($name, $value) }",
    'Remove-Variable line, text, pair, name, value',
  ].join('\n');
}

function requireCommand(argv: readonly string[]): [string, ...string[]] {
  const [program, ...rest] = argv;
  if (program === undefined || program === '')
    throw new ClonaError('guestFailed', 'there is no command to run');
  return [program, ...rest];
}

function requireName(name: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    throw new ClonaError('guestFailed', `"${name}" is no name for an environment variable`);
  }
  return name;
}

/** No operating system takes a NUL in an argument; cutting there would run something else than was asked for. */
function refuseNul(word: string): void {
  if (word.includes('\0')) throw new ClonaError('guestFailed', 'a command may not contain a NUL character');
}
