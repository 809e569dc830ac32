import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Guest } from '../../../../guest/guest.ts';
import { quoteSh } from '../../../../guest/quote.ts';
import { stopGuestServer } from '../../guest-server.ts';
import type { PostgresBinaries } from '../../server-binaries.ts';
import { unpackIntoGuest } from '../unpack/guest-unpack.ts';
import { openUnpackPool, type UnpackPool } from '../unpack/unpack-pool.ts';
import { filesOfGuest } from './guest-files.ts';
import { startInGuest, type ServerAt } from './guest-recovery-server.ts';
import { shellOfGuest, type GuestShell } from './guest-shell.ts';
import { aloneCommand } from './local-place.ts';
import type { PlaceSegment, RestorePlace } from './place.ts';
import { startLine } from './start-line.ts';

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
  const shell = shellOfGuest(guest, signal);
  const serverAt: ServerAt = (dataDir, socketDir, port, logFile) => ({
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
    ...filesOfGuest(guest, shell),
    unpack: async (unpack) => unpackIntoGuest({ ...unpack, guests: [guest, ...lanes], pool, signal }),
    putSegment: async (segment) => sendSegment(segment, pool, shell),
    startServer: async (server) => startInGuest(guest, serverAt, shell, server),
    askAlone: async (dataDir, settings, query) => {
      const alone = aloneCommand(binaries, dataDir, settings);
      return (await guest.run(alone, { signal, env: binaries.env, stdin: `${query}\n` })).stdout;
    },
    startLine: (dataDir, logFile, start) => startLine(binaries, null, { dataDir, logFile, ...start }),
    stopServer: async (dataDir) => {
      if ((await shell.shell(`[ -e ${quoteSh(`${dataDir}/postmaster.pid`)} ]`)).exitCode !== 0) return;
      await stopGuestServer(serverAt(dataDir, '', 5432, ''), 'immediate', signal);
    },
    [Symbol.asyncDispose]: async () => pool[Symbol.asyncDispose](),
  };
}

/** Proven here, and sent without the zeros behind a log switch. */
async function sendSegment(segment: PlaceSegment, pool: UnpackPool, { must }: GuestShell): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'clona-segment-'));
  try {
    const here = join(folder, 'segment');
    await pool.run({ kind: 'segment', ...segment, target: here, owner: null });
    const content = await readFile(here);
    const written = content.subarray(0, endOfContent(content));
    const fresh = segment.target.replace(/[^/]+$/, '.$&.new');
    const grow = `truncate -s ${content.length} ${quoteSh(fresh)}`;
    const script = `cat > ${quoteSh(fresh)} && ${grow} && mv ${quoteSh(fresh)} ${quoteSh(segment.target)}`;
    await must(script, Readable.from([written]));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Index behind the last byte that is not zero. */
function endOfContent(content: Buffer): number {
  let end = content.length;
  while (end >= 8 && content.readBigUInt64LE(end - 8) === 0n) end -= 8;
  while (end > 0 && content[end - 1] === 0) end -= 1;
  return end;
}
