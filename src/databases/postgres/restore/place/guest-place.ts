import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { ClonaError } from '../../../../errors.ts';
import type { CommandResult, Guest } from '../../../../guest/guest.ts';
import { quoteSh } from '../../../../guest/quote.ts';
import { startGuestServer, stopGuestServer, type GuestServer } from '../../guest-server.ts';
import type { PostgresBinaries } from '../../server-binaries.ts';
import { unpackIntoGuest } from '../unpack/guest-unpack.ts';
import { aloneCommand } from './local-place.ts';
import type { ExaminedTarget, PlaceServer, PlaceServerOptions, RestorePlace } from './place.ts';
import { startLine } from './start-line.ts';
import { openUnpackPool } from '../unpack/unpack-pool.ts';

export interface GuestPlaceOptions {
  guest: Guest;
  /** Further connections to the same guest: each carries a stream of its own. They stay the caller's. */
  lanes?: readonly Guest[] | undefined;
  /** As the guest sees them. */
  binaries: PostgresBinaries;
  workers: number;
  signal: AbortSignal;
}

/** A Linux guest over SSH, as the user of the connection: everything is unpacked and proven here and streamed there. */
export function openGuestPlace(options: GuestPlaceOptions): RestorePlace {
  const { guest, lanes = [], binaries, workers, signal } = options;
  const pool = openUnpackPool(workers, signal);
  const shell = async (script: string, stdin?: Readable): Promise<CommandResult> =>
    guest.runShell(script, { signal, stdin });
  const must = async (script: string, stdin?: Readable): Promise<string> => {
    const result = await shell(script, stdin);
    if (result.exitCode === 0) return result.stdout;
    const said = result.stderr.trim().slice(-500);
    throw new ClonaError(
      /No space left|quota exceeded/i.test(said) ? 'diskFull' : 'guestFailed',
      'the guest refused a file',
      {
        cause: new Error(said),
      },
    );
  };
  const serverAt = (dataDir: string, socketDir: string, port: number, logFile: string): GuestServer => ({
    guest,
    binaries,
    dataDir,
    socketDir,
    port,
    logFile,
  });
  return {
    where: ' on the guest',
    isElsewhere: true,
    isForAnother: false,
    readText: async (path) => {
      const { exitCode, stdout, stderr } = await shell(
        `if [ -e ${quoteSh(path)} ]; then cat ${quoteSh(path)}; else exit 44; fi`,
      );
      if (exitCode === 44) return null;
      if (exitCode === 0) return stdout;
      throw new ClonaError('guestFailed', `${path} cannot be read on the guest`, {
        cause: new Error(stderr.trim()),
      });
    },
    writeText: async (path, text) => guest.writeFile(path, text, 0o600, signal),
    list: async (path) => {
      const { exitCode, stdout, stderr } = await shell(
        `if [ -e ${quoteSh(path)} ]; then ls -A ${quoteSh(path)}; else exit 44; fi`,
      );
      if (exitCode === 44) return null;
      if (exitCode === 0) return stdout.split('\n').filter((name) => name !== '');
      throw new ClonaError('guestFailed', `${path} cannot be listed on the guest`, {
        cause: new Error(stderr.trim()),
      });
    },
    isThere: async (path) => (await shell(`[ -e ${quoteSh(path)} ]`)).exitCode === 0,
    makeFolder: async (path) =>
      void (await must(`umask 077 && mkdir -p ${quoteSh(path)} && chmod 700 ${quoteSh(path)}`)),
    remove: async (path) => void (await must(`rm -rf ${quoteSh(path)}`)),
    rename: async (from, to) => {
      // An empty folder gives way; mv would move into it.
      const script = `if [ -d ${quoteSh(to)} ]; then rmdir ${quoteSh(to)}; fi && mv ${quoteSh(from)} ${quoteSh(to)} && sync -f ${quoteSh(to)}`;
      await must(script);
    },
    resolve: async (path) => resolveInGuest(path, must),
    examine: async (path) => examineGuest(path, must),
    findMissing: async (paths) => {
      if (paths.length === 0) return [];
      const out = await must(
        `for f in ${paths.map(quoteSh).join(' ')}; do [ -e "$f" ] || printf '%s\\n' "$f"; done`,
      );
      return out.split('\n').filter((line) => line !== '');
    },
    unpack: async (unpack) =>
      unpackIntoGuest({
        ...unpack,
        guests: [guest, ...lanes],
        pool,
        signal,
      }),
    putSegment: async (segment) => {
      const folder = await mkdtemp(join(tmpdir(), 'clona-segment-'));
      try {
        const here = join(folder, 'segment');
        await pool.run({ kind: 'segment', ...segment, target: here, owner: null });
        const fresh = segment.target.replace(/[^/]+$/, '.$&.new');
        const content = await readFile(here);
        // Behind a log switch a segment holds nothing but zeros: those need not travel.
        const written = content.subarray(0, endOfContent(content));
        const grow = `truncate -s ${content.length} ${quoteSh(fresh)}`;
        const script = `cat > ${quoteSh(fresh)} && ${grow} && mv ${quoteSh(fresh)} ${quoteSh(segment.target)}`;
        await must(script, Readable.from([written]));
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    startServer: async (server) => startInGuest(options, serverAt, must, server),
    askAlone: async (dataDir, settings, query) => {
      const stdin = `${query}\n`;
      const { stdout } = await guest.run(aloneCommand(binaries, dataDir, settings), {
        signal,
        env: binaries.env,
        stdin,
      });
      return stdout;
    },
    startLine: (dataDir, logFile, start) => startLine(binaries, null, { dataDir, logFile, ...start }),
    stopServer: async (dataDir) => {
      if ((await shell(`[ -e ${quoteSh(`${dataDir}/postmaster.pid`)} ]`)).exitCode !== 0) return;
      await stopGuestServer(serverAt(dataDir, '', 5432, ''), 'immediate', signal);
    },
    [Symbol.asyncDispose]: async () => pool[Symbol.asyncDispose](),
  };
}

/** Index behind the last byte that is not zero. */
function endOfContent(content: Buffer): number {
  let end = content.length;
  while (end >= 8 && content.readBigUInt64LE(end - 8) === 0n) end -= 8;
  while (end > 0 && content[end - 1] === 0) end -= 1;
  return end;
}

async function resolveInGuest(path: string, must: (script: string) => Promise<string>): Promise<string> {
  const out = await must(
    `t=${quoteSh(path)}; if [ -L "$t" ]; then readlink -e "$t" || echo nowhere; else printf %s "$t"; fi`,
  );
  const found = out.replace(/\n$/, '');
  if (found !== 'nowhere') return found;
  throw new ClonaError('targetOccupied', `${path} is a link that leads nowhere on the guest`, {
    hint: 'make the folder it leads to, or name that folder itself',
  });
}

async function examineGuest(
  path: string,
  must: (script: string) => Promise<string>,
): Promise<ExaminedTarget> {
  const out = await must(
    `t=${quoteSh(path)}
    d=$t; while [ ! -d "$d" ]; do d=$(dirname "$d"); done; [ -w "$d" ] && echo "ok" || echo "$d"
    mountpoint -q "$t" 2>/dev/null && echo mount || echo folder; df -Pk "$d" | tail -n 1`,
  );
  const [reach = '', kind = '', line = ''] = out.split('\n');
  // Filesystem, blocks, used, available, capacity, mounted on: names may hold blanks, so it is counted from "NN%".
  const [, available] = /\s(\d+)\s+\d+%\s/.exec(line) ?? [];
  return {
    freeBytes: Number(available ?? 0) * 1024,
    unreachable: reach === 'ok' ? null : reach,
    isMountPoint: kind === 'mount',
  };
}

type ServerAt = (dataDir: string, socketDir: string, port: number, logFile: string) => GuestServer;

async function startInGuest(
  { guest, signal: whole }: GuestPlaceOptions,
  serverAt: ServerAt,
  must: (script: string) => Promise<string>,
  options: PlaceServerOptions,
): Promise<PlaceServer> {
  const { dataDir, logFile, listen, settings, timeoutMs, signal } = options;
  const ownSocketDir =
    listen === undefined ? (await must('mktemp -d /tmp/clona-s-XXXXXX')).trim() : undefined;
  const port = listen?.port ?? 5432;
  const server = serverAt(dataDir, ownSocketDir ?? listen?.socketDir ?? '', port, logFile);
  const forget = async (): Promise<void> => {
    if (ownSocketDir !== undefined) await must(`rm -rf ${quoteSh(ownSocketDir)}`);
  };
  try {
    await startGuestServer(server, { signal, settings, timeoutMs, listenAddresses: listen?.addresses ?? '' });
    await waitUntilReady(server, timeoutMs, signal);
    const bridge = await openBridge(guest, `${server.socketDir}/.s.PGSQL.${port}`, whole);
    return {
      address: (database, user) => ({ engine: 'postgres', host: bridge.folder, port: 5432, database, user }),
      stop: async (mode) => {
        await bridge.close();
        await stopGuestServer(server, mode, whole);
        await forget();
      },
    };
  } catch (error) {
    const last = AbortSignal.timeout(30_000);
    await stopGuestServer(server, 'immediate', last).catch(() => {});
    await forget().catch(() => {});
    throw error;
  }
}

/** pg_ctl counts a server in recovery as started; postmaster.pid says in its eighth line when it has opened. */
async function waitUntilReady(
  { guest, dataDir }: GuestServer,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const pidFile = quoteSh(`${dataDir}/postmaster.pid`);
  const until = performance.now() + timeoutMs;
  for (;;) {
    const { stdout } = await guest.runShell(
      `sed -n 8p ${pidFile} 2>/dev/null; p=$(head -n 1 ${pidFile} 2>/dev/null) && kill -0 "$p" 2>/dev/null && echo alive`,
      { signal },
    );
    const lines = stdout.split('\n').map((line) => line.trim());
    if (lines.includes('ready') && lines.includes('alive')) return;
    if (!lines.includes('alive'))
      throw new ClonaError('databaseFailed', `the server in ${dataDir} gave up recovery`);
    if (performance.now() > until)
      throw new ClonaError('databaseFailed', `the server in ${dataDir} did not end recovery in time`);
    await wait(100, undefined, { signal });
  }
}

async function carry(guest: Guest, socket: string, near: Socket, signal: AbortSignal): Promise<void> {
  try {
    const far = await guest.forward({ socket }, signal);
    far.on('error', () => near.destroy());
    far.on('close', () => near.destroy());
    near.on('close', () => far.destroy());
    near.pipe(far).pipe(near);
  } catch {
    // The driver hears of it as a connection that was closed.
    near.destroy();
  }
}

interface Bridge {
  /** Folder with a socket named as PostgreSQL's own. */
  folder: string;
  close: () => Promise<void>;
}

/** A Unix socket here whose connections lead to one in the guest, whatever network the guest has. */
async function openBridge(guest: Guest, socket: string, signal: AbortSignal): Promise<Bridge> {
  const folder = await mkdtemp(join(tmpdir().length > 60 ? '/tmp' : tmpdir(), 'clona-b-'));
  const open = new Set<Socket>();
  const server = createServer((near) => {
    open.add(near);
    near.on('error', () => {});
    near.on('close', () => open.delete(near));
    void carry(guest, socket, near, signal);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(join(folder, '.s.PGSQL.5432'), resolve);
  });
  return {
    folder,
    close: async () => {
      for (const near of open) near.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      await rm(folder, { recursive: true, force: true });
    },
  };
}
