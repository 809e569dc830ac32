import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Guest, GuestAddress } from '../../src/guest/guest.ts';
import { openGuest } from '../../src/guest/open.ts';

export interface GuestUnderTest extends AsyncDisposable {
  address: GuestAddress;
  /** A folder inside the guest that its user may write to. */
  folder: string;
}

/** What src/guest/guest.ts promises, for every Linux guest. `start` gives a running guest. */
export function testGuestContract(
  name: string,
  start: () => Promise<GuestUnderTest>,
  skip: string | undefined,
): void {
  describe.skipIf(skip !== undefined)(
    `guest contract: ${name}${skip === undefined ? '' : ` (${skip})`}`,
    () => {
      let under: GuestUnderTest;
      let guest: Guest;
      let local: string;
      const { signal } = new AbortController();
      beforeAll(async () => {
        under = await start();
        guest = await openGuest(under.address, signal);
        local = await mkdtemp(join(tmpdir(), 'clona-guest-'));
      });
      afterAll(async () => {
        await guest?.[Symbol.asyncDispose]();
        await under?.[Symbol.asyncDispose]();
        if (local !== undefined) await rm(local, { recursive: true, force: true });
      });

      test('a command gives its exit code and both outputs as they are', async () => {
        const result = await guest.runShell('echo out; echo err >&2; exit 7', { signal });
        expect(result).toEqual({ exitCode: 7, signal: null, stdout: 'out\n', stderr: 'err\n' });
      });

      test('arguments arrive as they were given, whatever they hold', async () => {
        const words = [
          '',
          ' ',
          "it's",
          '"',
          '$HOME',
          '`id`',
          '\\',
          'a\nb',
          '*',
          '--',
          '-n',
          'ü€',
          '; exit 3',
          '!',
        ];
        const result = await guest.run(['printf', '<%s>', ...words], { signal });
        expect(result.stdout).toBe(words.map((word) => `<${word}>`).join(''));
      });

      test('a command that does not exist ends with 127', async () => {
        expect((await guest.run(['clona-no-such-command'], { signal })).exitCode).toBe(127);
      });

      test('a command ended by a signal names it', async () => {
        const { exitCode, signal: name } = await guest.runShell('kill -KILL $$', { signal });
        expect({ exitCode, name }).toEqual({ exitCode: null, name: 'SIGKILL' });
      });

      test('a command runs in the folder it is given', async () => {
        expect((await guest.run(['pwd'], { signal, cwd: under.folder })).stdout.trim()).toBe(under.folder);
        expect((await guest.run(['pwd'], { signal, cwd: `${under.folder}/none` })).exitCode).toBe(126);
      });

      test('variables reach the command and never the list of processes; stdin follows them whole', async () => {
        const secret = `s3cret'"\n$x ü ${'y'.repeat(300)}`;
        const result = await guest.runShell(
          'printf "%s|" "$CLONA_SECRET"; cat; tr "\\0" " " < /proc/$$/cmdline | grep -c "y\\{100\\}" || true',
          { signal, env: { CLONA_SECRET: secret, OTHER: '' }, stdin: 'the input\nof two lines' },
        );
        expect(result.stdout).toBe(`${secret}|the input\nof two lines0\n`);
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
        const result = await guest.run(['cat'], { signal, stdin: Readable.from([bytes]), stdoutTo });
        expect(result.exitCode).toBe(0);
        expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
      });

      test('a command that does not read its stdin ends by itself', async () => {
        const stdin = Readable.from(
          (function* fill() {
            for (let index = 0; index < 200; index += 1) yield Buffer.alloc(65_536);
          })(),
        );
        expect((await guest.run(['true'], { signal, stdin })).exitCode).toBe(0);
      });

      test('a failing receiver of the output ends the command and is the error', async () => {
        const stdoutTo = new Writable({
          write(_chunk, _encoding, done) {
            done(new Error('the disk is full'));
          },
        });
        await expect(guest.runShell('yes', { signal, stdoutTo })).rejects.toThrow('the disk is full');
      });

      test('output is told while it comes', async () => {
        const seen: string[] = [];
        await guest.runShell('echo one; echo two >&2', { signal, onOutput: (chunk) => seen.push(chunk) });
        expect(seen.join('')).toContain('one\n');
        expect(seen.join('')).toContain('two\n');
      });

      test('a command that takes too long is ended with its children and named', async () => {
        const marker = join(under.folder, 'slow');
        const script = `sleep 600 & echo $! > ${marker}; echo $$ >> ${marker}; wait`;
        await expect(guest.runShell(script, { signal, timeoutMs: 400 })).rejects.toMatchObject({
          kind: 'guestFailed',
          message: 'the command did not end within 0.4 s',
        });
        await expectEnded(guest, marker, signal);
      });

      test('an abort ends the command within a second and leaves no process', async () => {
        const marker = join(under.folder, 'aborted');
        const stop = new AbortController();
        const running = guest.runShell(`trap '' TERM; echo $$ > ${marker}; echo up; sleep 600; sleep 600`, {
          signal: stop.signal,
          onOutput: () => stop.abort(new Error('enough')),
        });
        await expect(running).rejects.toThrow('enough');
        await expectEnded(guest, marker, signal);
      });

      test('what a command leaves behind on purpose goes on', async () => {
        const marker = join(under.folder, 'service');
        const { exitCode } = await guest.runShell(
          `nohup sleep 600 > /dev/null 2>&1 < /dev/null & echo $! > ${marker}`,
          { signal },
        );
        expect(exitCode).toBe(0);
        expect(
          (await guest.runShell(`kill -0 $(cat ${marker}) && kill $(cat ${marker})`, { signal })).exitCode,
        ).toBe(0);
      });

      test('a file is written beside, then in place, with its mode', async () => {
        const path = join(under.folder, "a file's name");
        await guest.writeFile(path, 'first', 0o640, signal);
        await guest.writeFile(path, Buffer.from('second'), 0o600, signal);
        expect((await guest.readFile(path, signal)).toString()).toBe('second');
        const { stdout } = await guest.run(['ls', '-l', path], { signal });
        expect(stdout).toMatch(/^-rw-------/);
        expect((await guest.list(under.folder, signal)).filter((name) => name.includes('partial'))).toEqual(
          [],
        );
      });

      test('files go up and come down unchanged', async () => {
        const bytes = Buffer.alloc(3_000_000, 'clona');
        await writeFile(join(local, 'up'), bytes);
        await guest.upload(join(local, 'up'), join(under.folder, 'moved'), signal);
        await guest.download(join(under.folder, 'moved'), join(local, 'down'), signal);
        expect((await readFile(join(local, 'down'))).equals(bytes)).toBe(true);
      });

      test('a file that is not there is named, and nothing is left behind here', async () => {
        const wanted = guest.download(join(under.folder, 'missing'), join(local, 'nothing'), signal);
        await expect(wanted).rejects.toMatchObject({ kind: 'guestFailed' });
        await expect(guest.readFile(join(under.folder, 'missing'), signal)).rejects.toThrow(/missing/);
        expect((await readdir(local)).filter((name) => name.startsWith('nothing'))).toEqual([]);
      });

      test('a folder of many files is listed whole and in order', async () => {
        await guest.runShell('mkdir many && cd many && for i in $(seq 100 419); do : > "f$i"; done', {
          signal,
          cwd: under.folder,
        });
        const names = await guest.list(join(under.folder, 'many'), signal);
        expect(names).toEqual(Array.from({ length: 320 }, (_, index) => `f${index + 100}`));
      });

      test('a stream reaches a Unix socket inside', async () => {
        const socket = join(local, 'echo.sock');
        const server = createServer((peer) => peer.on('error', () => {}).pipe(peer));
        await new Promise<void>((resolve) => server.listen(socket, resolve));
        try {
          await chmod(local, 0o711);
          await chmod(socket, 0o666);
          const stream = await guest.forward({ socket }, signal);
          stream.end('there and back');
          expect(await text(stream)).toBe('there and back');
        } finally {
          server.close();
        }
      });

      test('a port nobody listens at is named', async () => {
        await expect(guest.forward({ host: '127.0.0.1', port: 1 }, signal)).rejects.toMatchObject({
          kind: 'guestFailed',
        });
      });

      test('another host key is refused before anything is sent', async () => {
        const foreign = { ...under.address, hostKey: `SHA256:${'A'.repeat(43)}` };
        await expect(openGuest(foreign, signal)).rejects.toMatchObject({ kind: 'hostKeyChanged' });
      });

      test('another user or key is refused', async () => {
        await expect(openGuest({ ...under.address, user: 'somebody-else' }, signal)).rejects.toMatchObject({
          kind: 'guestFailed',
        });
      });

      test('many commands run beside each other on one connection', async () => {
        const results = await Promise.all(
          Array.from({ length: 8 }, async (_, index) => guest.run(['echo', String(index)], { signal })),
        );
        expect(results.map(({ stdout }) => stdout.trim())).toEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
      });

      test('nobody there is said, with the address', async () => {
        const endpoint = { kind: 'socket', path: join(local, 'nobody.sock') } as const;
        await expect(openGuest({ ...under.address, endpoint }, signal)).rejects.toThrow(/cannot be reached/);
      });
    },
  );
}

/** Waits until every process named in the file has ended. */
async function expectEnded(guest: Guest, marker: string, signal: AbortSignal): Promise<void> {
  const script = `for p in $(cat ${marker}); do while kill -0 $p 2>/dev/null && ! grep -q '^State:.Z' /proc/$p/status; do sleep 0.05; done; done`;
  const { exitCode } = await guest.runShell(script, { signal, timeoutMs: 3000 });
  expect(exitCode).toBe(0);
}
