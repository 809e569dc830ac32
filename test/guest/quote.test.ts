import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { array, assert, property, string } from 'fast-check';
import {
  powerShellCommand,
  powerShellEnvironment,
  powerShellScript,
  quotePowerShell,
  quoteSh,
  quoteWindowsArgument,
  shCommand,
  shEnvironment,
  shScript,
} from '../../src/guest/quote.ts';

const word = string({ unit: 'binary', maxLength: 40 }).filter(
  (text) => !text.includes('\0') && text.isWellFormed(),
);

describe('quoting for sh', () => {
  test('plain words stay readable', () => {
    expect(shScript(['pg_ctl', '-D', '/data/pg', 'start'])).toBe('exec pg_ctl -D /data/pg start');
  });

  test('everything else is literal', () => {
    expect(quoteSh('')).toBe("''");
    expect(quoteSh("it's")).toBe(`'it'\\''s'`);
    expect(quoteSh('$(id)')).toBe("'$(id)'");
  });

  test('sh itself reads any words back', () => {
    assert(
      property(array(word, { minLength: 1, maxLength: 20 }), (words) => {
        const script = `printf '%s\\0' ${words.map(quoteSh).join(' ')}`;
        const read = execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' });
        expect(read).toBe(words.map((text) => `${text}\0`).join(''));
      }),
      { numRuns: 40 },
    );
  });

  test('a NUL is refused', () => {
    expect(() => quoteSh('a\0b')).toThrow('NUL');
    expect(() => quotePowerShell('a\0b')).toThrow('NUL');
  });

  test('no command is refused', () => {
    expect(() => shScript([])).toThrow('no command');
    expect(() => powerShellScript([''])).toThrow('no command');
  });

  test('the frame changes folder, names its group, and never names a value', () => {
    expect(shCommand('true', { cwd: '/a b', groupMark: 'mark:' })).toBe(
      `exec /bin/sh -c 'echo mark:$$ >&2\ncd -- '\\''/a b'\\'' || exit 126\ntrue'`,
    );
    const { text, lines } = shEnvironment({ PASSWORD: "a\nb'c" });
    expect(lines).toBe(2);
    expect(text).toBe(`export PASSWORD='a\nb'\\''c'\n`);
    expect(shCommand('true', { envLines: lines })).not.toContain('PASSWORD');
  });

  test('a name that is no name for a variable is refused', () => {
    expect(() => shEnvironment({ 'A;id': '1' })).toThrow('no name');
    expect(() => powerShellEnvironment({ 'A=B': '1' })).toThrow('no name');
  });
});

describe('quoting for Windows', () => {
  // PowerShell 5.1 language specification, 2.3.5.2: a single-quoted literal ends at any of five quote characters.
  test.each([
    ['plain', "'plain'"],
    ["it's", "'it''s'"],
    ['$env:PATH `n', "'$env:PATH `n'"],
    ['a\u2019b', "'a\u2019\u2019b'"],
    ['', "''"],
  ])('PowerShell reads %j as a literal', (text, quoted) => {
    expect(quotePowerShell(text)).toBe(quoted);
  });

  // "Parsing C command-line arguments" of Microsoft's C reference, the table of results.
  test.each([
    ['plain', 'plain'],
    ['', '""'],
    ['a b', '"a b"'],
    ['a"b', '"a\\"b"'],
    ['a\\b', 'a\\b'],
    ['a\\\\b c', '"a\\\\b c"'],
    ['ends with \\', '"ends with \\\\"'],
    ['a\\"b', '"a\\\\\\"b"'],
    ['a\tb', '"a\tb"'],
  ])('CommandLineToArgvW reads %j back', (text, quoted) => {
    expect(quoteWindowsArgument(text)).toBe(quoted);
    expect(parseWindowsArguments(quoted)).toEqual([text]);
  });

  test('any words come back by the rules of CommandLineToArgvW', () => {
    assert(
      property(array(word, { maxLength: 10 }), (words) => {
        expect(parseWindowsArguments(words.map(quoteWindowsArgument).join(' '))).toEqual(words);
      }),
    );
  });

  test('a command travels as text that no shell can misread', () => {
    const command = powerShellCommand(powerShellScript(['C:\\Program Files\\erp.exe', '/title', 'a "b"']), {
      cwd: "C:\\it's",
    });
    expect(command).toMatch(/^powershell\.exe [A-Za-z -]+ -EncodedCommand [A-Za-z0-9+/=]+$/);
    expect(decode(command)).toBe(
      [
        "$ErrorActionPreference = 'Stop'",
        "$ProgressPreference = 'SilentlyContinue'",
        "Set-Location -LiteralPath 'C:\\it''s'",
        '$start = New-Object System.Diagnostics.ProcessStartInfo',
        "$start.FileName = 'C:\\Program Files\\erp.exe'",
        `$start.Arguments = '/title "a \\"b\\""'`,
        '$start.WorkingDirectory = (Get-Location).ProviderPath',
        '$start.UseShellExecute = $false',
        '$child = [System.Diagnostics.Process]::Start($start)',
        '$child.WaitForExit()',
        'exit $child.ExitCode',
      ].join('\n'),
    );
  });

  test('variables go through one line of stdin', () => {
    const { text, lines } = powerShellEnvironment({ SECRET: 'a\nb', OTHER: '' });
    expect(lines).toBe(1);
    expect(Buffer.from(text.trimEnd(), 'base64').toString()).toBe('SECRET=a\nb\0OTHER=');
    expect(decode(powerShellCommand('exit 0', { envLines: lines }))).not.toContain('a\nb');
  });

  test('a script too long for one line is refused with the way out', () => {
    expect(() => powerShellCommand('x'.repeat(4000))).toThrow('too long');
  });
});

function decode(command: string): string {
  return Buffer.from(command.split(' ').at(-1) ?? '', 'base64').toString('utf16le');
}

/** The rules of Microsoft's C reference, written down the other way round than the quoting. */
function parseWindowsArguments(line: string): string[] {
  const found: string[] = [];
  let current: string | undefined;
  let quoted = false;
  for (let index = 0; index < line.length; index += 1) {
    const slashes = /^\\*/.exec(line.slice(index))?.[0].length ?? 0;
    if (slashes > 0) {
      const before = line[index + slashes] === '"';
      current = (current ?? '') + '\\'.repeat(before ? Math.floor(slashes / 2) : slashes);
      index += slashes - 1;
      if (before && slashes % 2 === 1) {
        current += '"';
        index += 1;
      }
    } else if (line[index] === '"') {
      quoted = !quoted;
      current ??= '';
    } else if (!quoted && /\s/.test(line[index] ?? '')) {
      if (current !== undefined) found.push(current);
      current = undefined;
    } else {
      current = (current ?? '') + (line[index] ?? '');
    }
  }
  if (current !== undefined) found.push(current);
  return found;
}
