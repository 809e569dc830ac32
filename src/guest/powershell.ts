/**
 * Commands for a Windows guest: PowerShell 5.1, which every Windows has, over OpenSSH, whatever its default shell.
 * Pure: text in, text out, golden-tested.
 */
import { ClonaError } from '../errors.ts';
import { refuseNul, requireCommand, requireName } from './quote.ts';

/** cmd.exe, the default shell of OpenSSH on Windows, takes 8191 characters. */
const longestCommand = 8000;

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

export interface PowerShellOrder {
  command: string;
  /** Lines for stdin before the caller's own input: variables, and a script that is too long for a command line. */
  head: string;
}

/**
 * A script as it is sent: base64 of UTF-16, so that no shell on the way reads anything into it. Values of variables go
 * through stdin, where no list of processes shows them.
 */
export function powerShellOrder(
  script: string,
  options: { cwd?: string | undefined; env?: Readonly<Record<string, string>> | undefined } = {},
): PowerShellOrder {
  refuseNul(script);
  const { text: variables } = powerShellEnvironment(options.env ?? {});
  const frame = [...preamble, ...(variables === '' ? [] : readVariables), ...enter(options.cwd)];
  const command = encodeCommand([...frame, script]);
  if (command.length <= longestCommand) return { command, head: variables };
  return {
    command: encodeCommand([...frame, ...(variables === '' ? openInput : []), ...readScript]),
    head: `${variables}${Buffer.from(script, 'utf8').toString('base64')}\n`,
  };
}

/**
 * `-InputFormat None`: else PowerShell itself reads stdin, for `$input`, and the command finds nothing there.
 * `-OutputFormat Text`: else an encoded command's errors come as CLIXML.
 */
function encodeCommand(lines: readonly string[]): string {
  const encoded = Buffer.from(lines.join('\n'), 'utf16le').toString('base64');
  return `powershell.exe -NoLogo -NoProfile -NonInteractive -InputFormat None -OutputFormat Text -EncodedCommand ${encoded}`;
}

/** Text comes out as UTF-8, not in the code page of the country; without a console there is none to set. */
const preamble: readonly string[] = [
  "$ErrorActionPreference = 'Stop'",
  "$ProgressPreference = 'SilentlyContinue'",
  'try { [Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false } catch { }',
];

function enter(cwd: string | undefined): string[] {
  if (cwd === undefined) return [];
  const failed = '[Console]::Error.WriteLine($_.Exception.Message); exit 126';
  return [`try { Set-Location -LiteralPath ${quotePowerShell(cwd)} } catch { ${failed} }`];
}

/** Read byte by byte, because a reader with a buffer would swallow the start of the command's own stdin. */
const openInput: readonly string[] = [
  '$source = [Console]::OpenStandardInput()',
  'function Read-ClonaLine { $line = New-Object System.Text.StringBuilder; while (($byte = $source.ReadByte()) -ne 10) { if ($byte -lt 0) { exit 126 }; [void]$line.Append([char]$byte) }; [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($line.ToString())) }',
];

const readVariables: readonly string[] = [
  ...openInput,
  "foreach ($pair in (Read-ClonaLine).Split([char]0)) { $name, $value = $pair.Split('=', 2); [Environment]::SetEnvironmentVariable($name, $value) }",
  'Remove-Variable pair, name, value',
];

const readScript: readonly string[] = ['. ([ScriptBlock]::Create((Read-ClonaLine)))'];

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

/** A script of the caller's, ending as sh would: with the code of its last command, not with that of an earlier one. */
export function powerShellText(script: string): string {
  return `${script}\nif (-not $?) { if ($LASTEXITCODE) { exit $LASTEXITCODE }; exit 1 }`;
}

/**
 * A command and its arguments. PowerShell's own way of passing arguments loses double quotes (about_Parsing, before
 * 7.3), so the command line is quoted here and given to the process as it is; stdin and stdout are inherited
 * untouched. Ends with 127 where there is no such program and 126 where it cannot be started, as sh does.
 */
export function powerShellScript(argv: readonly string[]): string {
  const [program, ...rest] = requireCommand(argv);
  refuseBatch(program, rest);
  const missing = '$_.Exception.GetBaseException().NativeErrorCode -in 2, 3';
  return [
    '$start = New-Object System.Diagnostics.ProcessStartInfo',
    `$start.FileName = ${quotePowerShell(program)}`,
    `$start.Arguments = ${quotePowerShell(rest.map(quoteWindowsArgument).join(' '))}`,
    '$start.WorkingDirectory = (Get-Location).ProviderPath',
    '$start.UseShellExecute = $false',
    `try { $child = [System.Diagnostics.Process]::Start($start) } catch { [Console]::Error.WriteLine($_.Exception.Message); if (${missing}) { exit 127 }; exit 126 }`,
    '$child.WaitForExit()',
    'exit $child.ExitCode',
  ].join('\n');
}

/**
 * Windows hands a batch file to cmd.exe, which reads the arguments by rules of its own: quotes do not hold there, and
 * an argument could become a command ("BatBadBut", CVE-2024-24576). Trailing dots and blanks of any
 * kind belong to no file name: Windows and .NET drop them.
 */
function refuseBatch(program: string, args: readonly string[]): void {
  // No file has one in its name; around it .NET would take it for quoted already, and behind it an argument would begin.
  if (program.includes('"'))
    throw new ClonaError('guestFailed', `the program ${program} has a quote in its name`);
  if (!/\.(?:bat|cmd)[.\s]*$/i.test(program)) return;
  const dangerous = args.find((word) => /[^A-Za-z0-9_./:\\=@+,-]/.test(word));
  if (dangerous === undefined) return;
  throw new ClonaError(
    'guestFailed',
    `the batch file ${program} cannot be given an argument with such characters`,
    {
      hint: 'pass it in a variable (env), or run a program that is no batch file',
    },
  );
}

/**
 * A path for SFTP: OpenSSH on Windows knows `/C:/folder/file`, with slashes alone. Other forms are passed on: relative
 * ones begin at the user's home.
 */
export function windowsSftpPath(path: string): string {
  const slashed = path.replaceAll('\\', '/');
  return /^[A-Za-z]:\//.test(slashed) ? `/${slashed}` : slashed;
}
