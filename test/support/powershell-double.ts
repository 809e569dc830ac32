import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, readSync, writeSync } from 'node:fs';
import { parseWindowsArguments } from './windows-arguments.ts';

/**
 * Stands behind sshd for Windows PowerShell 5.1, by its language specification and only as far as clona goes: every
 * statement that it does not know is a parse error. What follows the variables on stdin is left to the command.
 */

const original = process.env['SSH_ORIGINAL_COMMAND'] ?? '';
appendFileSync(process.env['CLONA_DOUBLE_LOG'] ?? '/dev/null', `${original}\n`);
if (/sftp/.test(original)) {
  process.exit(spawnSync('/usr/lib/openssh/sftp-server', { stdio: 'inherit' }).status ?? 1);
}
const sent =
  /^powershell\.exe -NoLogo -NoProfile -NonInteractive -InputFormat None -OutputFormat Text -EncodedCommand ([A-Za-z0-9+/=]+)$/.exec(
    original,
  );
if (sent?.[1] === undefined || original.length > 8191) {
  process.stderr.write("'powershell.exe' is not recognized\n");
  process.exit(1);
}

const sentText = Buffer.from(sent[1], 'base64').toString('utf16le');
const state = { lastExitCode: 0, succeeded: true, fileName: '', arguments: '', started: false };
/** Whole, before the process may end: what sshd hands over can be a socket, on which Node.js does not wait. */
function print(descriptor: 1 | 2, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(descriptor, bytes, at);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    }
  }
}

type Statement = readonly [RegExp, (match: RegExpExecArray) => void | Promise<void>];

/** Single quotes of five kinds; doubled they stand for themselves (2.3.5.2). */
function readLiteral(literal: string): string {
  return literal.slice(1, -1).replaceAll(/(['\u2018\u2019\u201A\u201B])['\u2018\u2019\u201A\u201B]/g, '$1');
}

function readLine(): string {
  const bytes: number[] = [];
  const one = Buffer.alloc(1);
  while (readSync(0, one) === 1 && one[0] !== 10) bytes.push(one[0] ?? 0);
  return Buffer.from(Buffer.from(bytes).toString(), 'base64').toString('utf8');
}

async function interpret(text: string): Promise<void> {
  let rest = text;
  while (rest !== '') {
    const found = statements
      .map(([pattern, act]) => ({ match: pattern.exec(rest), act }))
      .find(({ match }) => match !== null);
    if (found?.match === null || found === undefined) {
      process.stderr.write(`ParserError: ${rest.split('\n')[0]}\n`);
      process.exit(1);
    }
    await found.act(found.match);
    rest = rest.slice(found.match[0].length);
  }
}

/** A statement as a whole: up to the end of its line. `LITERAL` stands for a string in single quotes. */
function statement(source: string): RegExp {
  const quote = "['\u2018\u2019\u201A\u201B]";
  const literal = `(${quote}(?:[^'\u2018\u2019\u201A\u201B]|${quote}{2})*${quote})`;
  return new RegExp(`^(?:${source.replace('LITERAL', literal)})(?:\\n|$)`, 'u');
}

const plain = (source: string): RegExp => statement(source.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));

async function startProcess(): Promise<void> {
  const child = spawn(state.fileName, parseWindowsArguments(state.arguments), { stdio: 'inherit' });
  const code = await new Promise<number>((resolve) => {
    child.once('error', (error) => {
      process.stderr.write(`${error.message}\n`);
      resolve('code' in error && error.code === 'ENOENT' ? 127 : 126);
    });
    child.once('exit', (exit) => resolve(exit ?? 1));
  });
  state.started = true;
  state.lastExitCode = code;
}

const statements: readonly Statement[] = [
  [plain("$ErrorActionPreference = 'Stop'"), () => {}],
  [plain("$ProgressPreference = 'SilentlyContinue'"), () => {}],
  [
    plain('try { [Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false } catch { }'),
    () => {},
  ],
  [
    statement(
      'try \\{ Set-Location -LiteralPath LITERAL \\} catch \\{ \\[Console\\]::Error\\.WriteLine\\(\\$_\\.Exception\\.Message\\); exit 126 \\}',
    ),
    ([, folder = '']) => {
      try {
        process.chdir(readLiteral(folder));
      } catch (error) {
        process.stderr.write(`${String(error)}\n`);
        process.exit(126);
      }
    },
  ],
  [plain('$source = [Console]::OpenStandardInput()'), () => {}],
  [
    /^function Read-ClonaLine \{ .*\$source\.ReadByte\(\)\) -ne 10\).*FromBase64String\(\$line\.ToString\(\)\)\) \}(?:\n|$)/,
    () => {},
  ],
  [
    plain(
      "foreach ($pair in (Read-ClonaLine).Split([char]0)) { $name, $value = $pair.Split('=', 2); [Environment]::SetEnvironmentVariable($name, $value) }",
    ),
    () => {
      for (const pair of readLine().split('\0')) {
        const at = pair.indexOf('=');
        // Windows knows no empty variable: setting one to nothing removes it.
        if (at === pair.length - 1) delete process.env[pair.slice(0, at)];
        else process.env[pair.slice(0, at)] = pair.slice(at + 1);
      }
    },
  ],
  [plain('Remove-Variable pair, name, value'), () => {}],
  [plain('. ([ScriptBlock]::Create((Read-ClonaLine)))'), async () => interpret(readLine())],
  [plain('$start = New-Object System.Diagnostics.ProcessStartInfo'), () => {}],
  [statement('\\$start\\.FileName = LITERAL'), ([, name = '']) => void (state.fileName = readLiteral(name))],
  [
    statement('\\$start\\.Arguments = LITERAL'),
    ([, line = '']) => void (state.arguments = readLiteral(line)),
  ],
  [plain('$start.WorkingDirectory = (Get-Location).ProviderPath'), () => {}],
  [plain('$start.UseShellExecute = $false'), () => {}],
  [
    plain(
      'try { $child = [System.Diagnostics.Process]::Start($start) } catch { [Console]::Error.WriteLine($_.Exception.Message); if ($_.Exception.GetBaseException().NativeErrorCode -in 2, 3) { exit 127 }; exit 126 }',
    ),
    startProcess,
  ],
  [plain('$child.WaitForExit()'), () => {}],
  [plain('exit $child.ExitCode'), () => process.exit(state.lastExitCode)],
  // What the tests themselves write.
  [statement('\\[Console\\]::Out\\.Write\\(LITERAL\\)'), ([, word = '']) => print(1, readLiteral(word))],
  [statement('\\[Console\\]::Error\\.Write\\(LITERAL\\)'), ([, word = '']) => print(2, readLiteral(word))],
  [
    statement('\\[Console\\]::Out\\.Write\\(\\$env:(\\w+)\\)'),
    ([, name = '']) => print(1, process.env[name] ?? ''),
  ],
  [
    statement('cmd\\.exe /c exit (\\d+)'),
    ([, code = '']) => {
      state.lastExitCode = Number(code);
      state.succeeded = code === '0';
    },
  ],
  [plain("$done = 'yes'"), () => void (state.succeeded = true)],
  [statement('exit (\\d+)'), ([, code = '']) => process.exit(Number(code))],
  [
    statement('throw LITERAL'),
    ([, word = '']) => {
      process.stderr.write(`${readLiteral(word)}\n`);
      process.exit(1);
    },
  ],
  [
    plain('if (-not $?) { if ($LASTEXITCODE) { exit $LASTEXITCODE }; exit 1 }'),
    () => {
      if (!state.succeeded) process.exit(state.lastExitCode === 0 ? 1 : state.lastExitCode);
    },
  ],
];

await interpret(sentText);
process.exitCode = state.succeeded ? 0 : 1;
