import { describe, expect, test } from 'vitest';
import { array, assert, property, string } from 'fast-check';
import {
  powerShellEnvironment,
  powerShellOrder,
  powerShellScript,
  powerShellText,
  quotePowerShell,
  quoteWindowsArgument,
  windowsSftpPath,
} from '../../src/guest/powershell.ts';
import { parseWindowsArguments } from '../support/windows-arguments.ts';

const word = string({ unit: 'binary', maxLength: 40 }).filter(
  (text) => !text.includes('\0') && text.isWellFormed(),
);

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
    const { command, head } = powerShellOrder(
      powerShellScript(['C:\\Program Files\\erp.exe', '/title', 'a "b"']),
      { cwd: "C:\\it's" },
    );
    expect(command).toMatch(/^powershell\.exe [A-Za-z -]+ -EncodedCommand [A-Za-z0-9+/=]+$/);
    expect(head).toBe('');
    expect(decode(command)).toBe(
      [
        "$ErrorActionPreference = 'Stop'",
        "$ProgressPreference = 'SilentlyContinue'",
        'try { [Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false } catch { }',
        "try { Set-Location -LiteralPath 'C:\\it''s' } catch { [Console]::Error.WriteLine($_.Exception.Message); exit 126 }",
        '$start = New-Object System.Diagnostics.ProcessStartInfo',
        "$start.FileName = 'C:\\Program Files\\erp.exe'",
        `$start.Arguments = '/title "a \\"b\\""'`,
        '$start.WorkingDirectory = (Get-Location).ProviderPath',
        '$start.UseShellExecute = $false',
        'try { $child = [System.Diagnostics.Process]::Start($start) } catch { [Console]::Error.WriteLine($_.Exception.Message); if ($_.Exception.GetBaseException().NativeErrorCode -in 2, 3) { exit 127 }; exit 126 }',
        '$child.WaitForExit()',
        'exit $child.ExitCode',
      ].join('\n'),
    );
  });

  test('PowerShell leaves stdin to the command, and its errors are text', () => {
    const { command } = powerShellOrder('exit 0');
    expect(command).toContain(' -NonInteractive -InputFormat None -OutputFormat Text -EncodedCommand ');
  });

  test('variables go through one line of stdin, and no command line holds them', () => {
    const { command, head } = powerShellOrder('exit 0', { env: { SECRET: 'a\nb', OTHER: '' } });
    expect(Buffer.from(head.trimEnd(), 'base64').toString()).toBe('SECRET=a\nb\0OTHER=');
    expect(decode(command)).not.toContain('a\nb');
    expect(decode(command)).not.toContain('SECRET');
  });

  test('a script that is too long for a command line goes through stdin, after the variables', () => {
    const script = `Write-Output '${'\u00fc'.repeat(30_000)}'`;
    const { command, head } = powerShellOrder(script, { env: { A: '1' } });
    expect(command.length).toBeLessThan(8191);
    const lines = head
      .trimEnd()
      .split('\n')
      .map((line) => Buffer.from(line, 'base64').toString());
    expect(lines).toEqual(['A=1', script]);
    expect(decode(command)).toMatch(/\. \(\[ScriptBlock\]::Create\(\(Read-ClonaLine\)\)\)$/);
    expect(decode(powerShellOrder(script).command)).toContain('OpenStandardInput');
  });

  test('a text of one that calls ends as its last command did', () => {
    expect(powerShellText('erp.exe')).toBe(
      'erp.exe\nif (-not $?) { if ($LASTEXITCODE) { exit $LASTEXITCODE }; exit 1 }',
    );
  });

  // CVE-2024-24576: cmd.exe reads the arguments of a batch file by rules of its own.
  test.each([
    ['run.bat', 'a&calc'],
    ['C:\\erp\\RUN.CMD', '%PATH%'],
    ['run.bat.', '"'],
    ['run.cmd ', 'a b'],
    ['run.cmd\t', 'a&calc'],
    ['run.bat\u00a0', 'a|calc'],
    ['run.cmd .\n', '%PATH%'],
    ['run.bat', 'a\nb'],
    ['run.bat', '^'],
  ])('the batch file %j is not given the argument %j', (program, word) => {
    expect(() => powerShellScript([program, 'plain', word])).toThrow('cannot be given an argument');
  });

  test.each(['"run.bat"', 'erp.exe" "/delete', 'run.bat"'])('a program is not called %j', (program) => {
    expect(() => powerShellScript([program, 'plain'])).toThrow('has a quote in its name');
  });

  // What would mean something to PowerShell, to cmd.exe or to sh, handed on by each of the two ways of quoting.
  test.each([
    '',
    '\\',
    'C:\\dir\\',
    'ends \\\\',
    '"',
    '\\"',
    '$(calc)',
    '$env:X',
    '`n`"',
    '%PATH%',
    '%%1',
    '^&|<>',
    '!x!',
    'a\nb\r\nc',
    "'; calc; '",
    '\u2018\u2019; calc',
    'Žluťoučký 🐎 \u202e',
    '-EncodedCommand',
    '--%',
    '@{a=1}',
    ' ',
    '\t',
  ])('the argument %j arrives as it is', (text) => {
    const { command } = powerShellOrder(powerShellScript(['erp.exe', text, 'next']));
    // Nothing of it is in what sshd's shell reads.
    expect(command).toMatch(/^[A-Za-z0-9 .+/=-]+$/);
    const [, literal = ''] =
      /\$start\.Arguments = '((?:[^'\u2018-\u201b]|(['\u2018-\u201b])\2)*)'\n/.exec(decode(command)) ?? [];
    const line = literal.replaceAll(/(['\u2018-\u201b])\1/g, '$1');
    expect(parseWindowsArguments(line)).toEqual([text, 'next']);
  });

  test('a batch file may have plain arguments, and a program any', () => {
    expect(powerShellScript(['run.bat', '/title=x', 'C:\\erp'])).toContain('/title=x');
    expect(powerShellScript(['run.exe', 'a&calc'])).toContain('a&calc');
    expect(powerShellScript(['my.bat.exe', 'a&calc'])).toContain('a&calc');
  });

  test.each([
    ['C:\\erp\\a b.txt', '/C:/erp/a b.txt'],
    ['c:/erp/x', '/c:/erp/x'],
    ['/C:/erp/x', '/C:/erp/x'],
    ['erp\\x', 'erp/x'],
    ['\\\\server\\share\\x', '//server/share/x'],
  ])('SFTP knows the file %j as %j', (path, sent) => {
    expect(windowsSftpPath(path)).toBe(sent);
  });

  test('a NUL, no command, and a name that is none are refused', () => {
    expect(() => quotePowerShell('a\0b')).toThrow('NUL');
    expect(() => powerShellOrder('a\0b')).toThrow('NUL');
    expect(() => powerShellScript([''])).toThrow('no command');
    expect(() => powerShellEnvironment({ 'A=B': '1' })).toThrow('no name');
  });
});

function decode(command: string): string {
  return Buffer.from(command.split(' ').at(-1) ?? '', 'base64').toString('utf16le');
}
