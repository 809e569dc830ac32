import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { access, copyFile, mkdtemp, open, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { archiveError, makeFolderDurably, syncFolder, unfinishedName } from '../../archive/durable-file.ts';
import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import type { Position } from '../../recovery/position.ts';
import type { OracleSession } from './connect.ts';
import type { KeptLog } from './kept-logs.ts';
import { archivedLogName } from './user-managed-program.ts';

interface ServerLog extends Omit<KeptLog, 'path' | 'state' | 'sha256'> {
  /** One for each destination of its own. */
  names: string[];
}

export interface KeepLogsOptions {
  session: OracleSession;
  guest: Guest;
  archiveDir: string;
  mirrorDir: string | undefined;
  /** Logs that hold redo from there on are kept. */
  from: Position;
  /** What is kept already, by path. */
  kept: Readonly<Record<string, KeptLog>>;
  toInstant: (wall: string | null) => string | null;
  signal: AbortSignal;
}

/**
 * Archived logs from the server's destinations into the archive and its mirror, compressed (R13, R14): checksummed where they lie, when
 * they arrive, and again when what was written has been read back. What is there already is left as it is.
 */
export async function keepLogs(options: KeepLogsOptions): Promise<KeptLog[]> {
  const { archiveDir, mirrorDir, kept, signal } = options;
  const fresh: KeptLog[] = [];
  for (const { names, ...log } of await listLogs(options)) {
    signal.throwIfAborted();
    const path = join(
      archiveDir,
      'logs',
      log.branch,
      `${archivedLogName(log.thread, log.sequence, log.branch)}.zst`,
    );
    const known = kept[path];
    if (known !== undefined && (known.first !== log.first || known.next !== log.next))
      throw reverted(known, log);
    if (known?.state === 'available' && (await isThere(path))) continue;
    const sha256 = await keepOne(names, path, options);
    const mirror = mirrorDir === undefined ? undefined : join(mirrorDir, relative(archiveDir, path));
    if (mirror !== undefined) await mirrorOne(path, mirror, sha256, signal);
    fresh.push({ ...log, path, mirror, state: 'available', sha256 });
  }
  return fresh;
}

/** R20: whichever was written over the other, one history would be lost. */
function reverted({ path, first, next }: KeptLog, log: Omit<ServerLog, 'names'>): ClonaError {
  return new ClonaError(
    'archiveDamaged',
    `log ${log.thread}/${log.sequence} was kept from ${first} to ${next}, and the server has another one from ${log.first} to ${log.next}`,
    {
      hint: 'LIVE was reverted and archives under names it had used: open it with RESETLOGS first (R20); nothing was written over',
      details: { path },
    },
  );
}

const isThere = async (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

async function listLogs({ session, from, toInstant }: KeepLogsOptions): Promise<ServerLog[]> {
  const rows = await session.query(
    `SELECT THREAD#, SEQUENCE#, RESETLOGS_CHANGE#, FIRST_CHANGE#, NEXT_CHANGE#, NAME,
       TO_CHAR(FIRST_TIME, 'YYYY-MM-DD"T"HH24:MI:SS'), TO_CHAR(NEXT_TIME, 'YYYY-MM-DD"T"HH24:MI:SS')
     FROM V$ARCHIVED_LOG
     WHERE STANDBY_DEST = 'NO' AND ARCHIVED = 'YES' AND DELETED = 'NO' AND STATUS = 'A' AND NEXT_CHANGE# > TO_NUMBER(:low)
     ORDER BY FIRST_CHANGE#, THREAD#, DEST_ID`,
    { low: String(from) },
    'reading V$ARCHIVED_LOG',
  );
  const logs = new Map<string, ServerLog>();
  for (const [thread, sequence, branch, first, next, name, firstWall, nextWall] of rows) {
    if (name === null || name === undefined) continue;
    const key = `${branch ?? ''}/${thread ?? ''}/${sequence ?? ''}/${first ?? ''}`;
    const known = logs.get(key);
    if (known !== undefined) known.names.push(name);
    else {
      logs.set(key, {
        branch: branch ?? '',
        thread: Number(thread),
        sequence: Number(sequence),
        first: first ?? '',
        next: next ?? '',
        firstTime: toInstant(firstWall ?? null),
        nextTime: toInstant(nextWall ?? null),
        names: [name],
      });
    }
  }
  return [...logs.values()];
}

/** From the first destination that has it whole; its SHA-256. */
async function keepOne(
  names: readonly string[],
  path: string,
  { guest, signal }: KeepLogsOptions,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'clona-log-'));
  const raw = join(folder, 'log');
  let failure: unknown;
  try {
    for (const name of names) {
      try {
        const there = await sumOnGuest(guest, name, signal);
        await guest.download(name, raw, signal);
        const sha256 = await hashFile(raw, signal);
        if (there !== null && there !== sha256) {
          throw new ClonaError('archiveDamaged', `${name} arrived with another checksum than it has`);
        }
        await pack(raw, path, sha256, signal);
        return sha256;
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
        if (error instanceof ClonaError && error.kind === 'diskFull') throw error;
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  throw new ClonaError('archiveMissing', `the archived log ${names[0] ?? ''} cannot be kept`, {
    cause: failure,
    hint: 'does its file lie there, and may the user of clona read it? a backup needs it',
  });
}

/** Where the machine has the program. */
export async function sumOnGuest(guest: Guest, name: string, signal: AbortSignal): Promise<string | null> {
  if (guest.platform === 'windows') return null;
  const { exitCode, stdout } = await guest.run(['sha256sum', '--', name], { signal });
  return exitCode === 0 ? (/^\\?([\da-f]{64})\b/.exec(stdout)?.[1] ?? null) : null;
}

export async function hashFile(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash, { signal });
  return hash.digest('hex');
}

export async function hashPacked(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), createZstdDecompress(), hash, { signal });
  return hash.digest('hex');
}

/** Beside its place, read back, then renamed to it. */
async function pack(raw: string, path: string, sha256: string, signal: AbortSignal): Promise<void> {
  await place(path, sha256, signal, async (fresh) => {
    const frame = createZstdCompress({ params: { [constants.ZSTD_c_checksumFlag]: 1 } });
    await pipeline(createReadStream(raw), frame, createWriteStream(fresh, { flags: 'wx', mode: 0o640 }), {
      signal,
    });
  });
}

async function mirrorOne(path: string, mirrored: string, sha256: string, signal: AbortSignal): Promise<void> {
  await place(mirrored, sha256, signal, async (fresh) => copyFile(path, fresh));
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function place(
  path: string,
  sha256: string,
  signal: AbortSignal,
  write: (fresh: string) => Promise<void>,
): Promise<void> {
  const fresh = unfinishedName(path);
  try {
    await makeFolderDurably(dirname(path));
    await write(fresh);
    await syncFile(fresh);
    if ((await hashPacked(fresh, signal)) !== sha256) {
      throw new ClonaError('archiveDamaged', `${path} reads otherwise than it was written`, {
        hint: 'look at the disk of the archive, and at the memory of this host',
      });
    }
    await rename(fresh, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(fresh, { force: true });
    signal.throwIfAborted();
    throw archiveError(error, path);
  }
}

/** To `to`, compared with what it was before it was compressed; from the mirror where it is gone or damaged. Throws `archiveDamaged`. */
export async function unpackLog(
  { path, mirror, sha256 }: KeptLog,
  to: string,
  signal: AbortSignal,
): Promise<void> {
  let failure: ClonaError | undefined;
  for (const from of mirror === undefined ? [path] : [path, mirror]) {
    try {
      await pipeline(createReadStream(from), createZstdDecompress(), createWriteStream(to), { signal });
      if (sha256 === undefined || (await hashFile(to, signal)) === sha256) return;
      failure = new ClonaError('archiveDamaged', `${from} is not the log that was kept under its name`);
    } catch (error) {
      signal.throwIfAborted();
      failure = new ClonaError('archiveDamaged', `${from} cannot be unpacked`, { cause: error });
    }
  }
  throw failure ?? new ClonaError('archiveMissing', `${path} is not there`);
}
