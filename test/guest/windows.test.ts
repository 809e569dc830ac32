import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Guest } from '../../src/guest/guest.ts';
import { openGuest } from '../../src/guest/open.ts';
import type { GuestUnderTest } from '../contracts/guest.ts';
import { startOpenSsh, whyNoOpenSsh } from '../support/openssh.ts';

const sftpServer = '/usr/lib/openssh/sftp-server';
const double = fileURLToPath(new URL('../support/powershell-double.ts', import.meta.url));
const missing = whyNoOpenSsh() ?? (existsSync(sftpServer) ? undefined : `${sftpServer} is not here`);

/** Not PowerShell, which no registry here has, but a real sshd, and behind it whoever reads what is sent by its rules. */
describe.skipIf(missing !== undefined)(
  `a Windows guest by a strict double of PowerShell${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    let under: GuestUnderTest;
    let guest: Guest;
    let local: string;
    const log = (): string => join(local, 'commands');
    const signal = AbortSignal.timeout(120_000);
    beforeAll(async () => {
      local = await mkdtemp(join(tmpdir(), 'clona-windows-'));
      under = await startOpenSsh(async (folder) => {
        const shell = join(folder, 'shell');
        const environment = `CLONA_DOUBLE_LOG='${log()}' NODE_NO_WARNINGS=1`;
        await writeFile(shell, `#!/bin/sh\n${environment} exec '${process.execPath}' '${double}'\n`, {
          mode: 0o755,
        });
        return [`ForceCommand ${shell}`];
      });
      guest = await openGuest({ ...under.address, platform: 'windows' }, signal);
    });
    afterAll(async () => {
      await guest?.[Symbol.asyncDispose]();
      await under?.[Symbol.asyncDispose]();
      await rm(local, { recursive: true, force: true });
    });

    test('a script gives its exit code and both outputs as they are', async () => {
      const script = "[Console]::Out.Write('it''s ü')\n[Console]::Error.Write('err')\nexit 7";
      const result = await guest.runShell(script, { signal });
      expect(result).toEqual({ exitCode: 7, signal: null, stdout: "it's ü", stderr: 'err' });
    });

    test.for<[string, string, number]>([
      ['of its last command', 'cmd.exe /c exit 7', 7],
      ['not of one before the last', "cmd.exe /c exit 7\n$done = 'yes'", 0],
      ['1 for what was thrown', "throw 'no'", 1],
      ['1 for what PowerShell cannot read', 'if (', 1],
    ])('a script ends with the code %s', async ([, script, code]) => {
      expect((await guest.runShell(script, { signal })).exitCode).toBe(code);
    });

    test('arguments arrive as they were given, whatever they hold', async () => {
      const words = [
        '',
        ' ',
        "it's",
        'it’s',
        '"',
        'a "b" c',
        '\\',
        'ends \\',
        '\\"',
        'a\nb',
        '$env:PATH',
        '`',
        '%PATH%',
        '*',
        '--',
        'ü€',
        '; exit 3',
        '& calc',
        '|',
      ];
      const result = await guest.run(['printf', '<%s>', ...words], { signal });
      expect(result).toMatchObject({ exitCode: 0, stdout: words.map((word) => `<${word}>`).join('') });
    });

    test('a command that does not exist ends with 127, one that cannot be started with 126', async () => {
      expect((await guest.run(['clona-no-such-command'], { signal })).exitCode).toBe(127);
      expect((await guest.run([under.folder], { signal })).exitCode).toBe(126);
    });

    test('a command runs in the folder it is given, or not at all', async () => {
      expect((await guest.run(['pwd'], { signal, cwd: under.folder })).stdout.trim()).toBe(under.folder);
      expect((await guest.run(['pwd'], { signal, cwd: `${under.folder}/it's none` })).exitCode).toBe(126);
    });

    test('variables reach the command and no command line; stdin follows them whole', async () => {
      const secret = `s3cret'"\n$x=ü ${'y'.repeat(3000)}`;
      const env = { CLONA_SECRET: secret, OTHER: '' };
      const script = 'printf "%s|" "$CLONA_SECRET"; cat';
      const result = await guest.run(['sh', '-c', script], { signal, env, stdin: 'the input\nof two lines' });
      expect(result.stdout).toBe(`${secret}|the input\nof two lines`);
      const sent = (await readFile(log(), 'utf8')).trim().split('\n').at(-1)?.split(' ').at(-1) ?? '';
      expect(Buffer.from(sent, 'base64').toString('utf16le')).not.toContain('s3cret');
    });

    test('a script beyond the length of a command line runs all the same, with variables before it', async () => {
      const long = 'ü'.repeat(40_000);
      const script = `[Console]::Out.Write($env:CLONA_FIRST)\n[Console]::Out.Write('${long}')\nexit 3`;
      const result = await guest.runShell(script, { signal, env: { CLONA_FIRST: 'first ' } });
      expect(result.exitCode).toBe(3);
      expect(result.stdout === `first ${long}`).toBe(true);
      expect((await guest.runShell(script, { signal })).stdout === long).toBe(true);
    });

    test('stdin and stdout carry a million bytes untouched, as streams', async () => {
      const bytes = Buffer.alloc(1_000_000, Buffer.from(Array.from({ length: 256 }, (_, value) => value)));
      const chunks: Buffer[] = [];
      const stdoutTo = new Writable({
        write(chunk: Buffer, _encoding, done) {
          chunks.push(chunk);
          done();
        },
      });
      const options = { signal, env: { A: '1' }, stdin: Readable.from([bytes]), stdoutTo };
      expect((await guest.run(['cat'], options)).exitCode).toBe(0);
      expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
    });

    test('files are written beside, then in place; they go up and come down, and are listed', async () => {
      const path = join(under.folder, "a file's name");
      await guest.writeFile(path, 'first', 0o640, signal);
      await guest.writeFile(path, Buffer.from('second'), 0o600, signal);
      expect((await guest.readFile(path, signal)).toString()).toBe('second');
      await writeFile(join(local, 'up'), Buffer.alloc(300_000, 'clona'));
      await guest.upload(join(local, 'up'), join(under.folder, 'moved'), signal);
      await guest.download(join(under.folder, 'moved'), join(local, 'down'), signal);
      expect(await readFile(join(local, 'down'))).toEqual(await readFile(join(local, 'up')));
      expect(await guest.list(under.folder, signal)).toEqual(["a file's name", 'moved']);
    });

    test('many commands run beside each other on one connection', async () => {
      const numbers = Array.from({ length: 8 }, (_, index) => String(index));
      const results = await Promise.all(numbers.map(async (word) => guest.run(['echo', word], { signal })));
      expect(results.map(({ stdout }) => stdout.trim())).toEqual(numbers);
    });
  },
);
