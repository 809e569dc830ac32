import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32c } from '../../archive/crc32c.ts';
import type { PlannedFrame } from '../../archive/frame-plan.ts';
import type { FramePool, FrameSlot, PackedFrame } from '../../archive/frame-pool.ts';
import { ClonaError } from '../../errors.ts';
import type { DatabaseAddress } from '../database.ts';
import { readServerFacts, type ServerFacts } from './backup-facts.ts';
import { listFilesBySql, listLocalFiles, type ClusterFile } from './cluster-files.ts';
import { connect, quoteLiteral, type Connection } from './connect.ts';
import { settlePagesElsewhere } from './prove/fractured-pages.ts';
import { openCopySession, type ReplicationSession } from './replication/session.ts';

/** How a hot backup gets at the files of a running cluster. */
export interface ClusterSource extends AsyncDisposable {
  kind: 'local' | 'sql';
  list: () => Promise<ClusterFile[]>;
  /** What `PlannedMember.source` must be for a path of `list`. */
  locate: (path: string) => string;
  /** A small file of at most so many bytes; undefined where there is none. */
  read: (path: string, sizeBytes: number) => Promise<Buffer | undefined>;
  /** Fills a slot by the plan and has it packed. */
  pack: (slot: FrameSlot, frame: PlannedFrame) => Promise<PackedFrame>;
}

/** Files that lie on this host are read by the threads themselves, others through `connections` SQL sessions. */
export async function openClusterSource(
  address: DatabaseAddress,
  session: Connection,
  facts: ServerFacts,
  pool: FramePool,
  connections: number,
  signal: AbortSignal | undefined,
): Promise<ClusterSource> {
  if (await isOnThisHost(address, session, facts)) return localSource(facts.dataDirectory, pool);
  return sqlSource(address, session, pool, connections, signal);
}

/** The server's data directory where it lies on this host; undefined where it does not or cannot be seen. */
export async function findLocalDataDir(
  address: DatabaseAddress,
  signal?: AbortSignal,
): Promise<string | undefined> {
  await using session = await connect(address, signal);
  const facts = await readServerFacts(session);
  return (await isOnThisHost(address, session, facts)) ? facts.dataDirectory : undefined;
}

/** The same path on this host may be another cluster, even a clone: the pid file's start time must be this server's. */
async function isOnThisHost(
  address: DatabaseAddress,
  session: Connection,
  facts: ServerFacts,
): Promise<boolean> {
  if (!address.host.startsWith('/') && !/^(localhost|127\.|::1$)/.test(address.host)) return false;
  if (facts.dataDirectory === '') return false;
  const [row] = await session.query<{ started: string }>(
    `SELECT extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text AS started`,
  );
  try {
    const [, dataDir, started] = (await readFile(join(facts.dataDirectory, 'postmaster.pid'), 'utf8')).split(
      '\n',
    );
    const control = await readFile(join(facts.dataDirectory, 'global', 'pg_control'));
    return (
      dataDir === facts.dataDirectory &&
      Math.abs(Number(started) - Number(row?.started)) <= 2 &&
      String(control.readBigUInt64LE(0)) === facts.systemIdentifier
    );
  } catch {
    return false;
  }
}

/** Files of this host, running or not. */
export function localSource(dataDir: string, pool: FramePool): ClusterSource {
  return {
    kind: 'local',
    list: async () => listLocalFiles(dataDir),
    locate: (path) => join(dataDir, path),
    read: async (path) => readFile(join(dataDir, path)).catch(() => undefined),
    pack: async (slot, frame) => pool.pack(slot, frame.rawBytes, frame.parts),
    [Symbol.asyncDispose]: async () => {},
  };
}

async function sqlSource(
  address: DatabaseAddress,
  session: Connection,
  pool: FramePool,
  connections: number,
  signal: AbortSignal | undefined,
): Promise<ClusterSource> {
  const readers: ReplicationSession[] = [];
  const idle: ReplicationSession[] = [];
  const waiting: ((reader: ReplicationSession) => void)[] = [];
  const borrow = async (): Promise<ReplicationSession> =>
    idle.pop() ?? new Promise<ReplicationSession>((resolve) => waiting.push(resolve));
  const withReader = async <Result>(
    work: (reader: ReplicationSession) => Promise<Result>,
  ): Promise<Result> => {
    const reader = await borrow();
    try {
      return await work(reader);
    } finally {
      const next = waiting.shift();
      if (next === undefined) idle.push(reader);
      else next(reader);
    }
  };
  const dispose = async (): Promise<void> => {
    await Promise.all(readers.map(async (reader) => reader[Symbol.asyncDispose]()));
  };
  try {
    for (let index = 0; index < connections; index += 1) readers.push(await openCopySession(address, signal));
  } catch (error) {
    await dispose();
    throw error;
  }
  idle.push(...readers);
  return {
    kind: 'sql',
    list: async () => listFilesBySql(session),
    locate: (path) => path,
    read: async (path, sizeBytes) => withReader(async (reader) => readSmall(reader, path, sizeBytes)),
    pack: async (slot, frame) => {
      const files = await withReader(async (reader) => fillBySql(reader, slot, frame));
      return { ...(await pool.pack(slot, frame.rawBytes)), files };
    },
    [Symbol.asyncDispose]: dispose,
  };
}

async function fillBySql(
  reader: ReplicationSession,
  slot: FrameSlot,
  frame: PlannedFrame,
): Promise<PackedFrame['files']> {
  const files: PackedFrame['files'] = [];
  let at = 0;
  for (const part of frame.parts) {
    if (part.kind === 'bytes') {
      slot.bytes.set(part.bytes, at);
      at += part.bytes.length;
      continue;
    }
    const range = slot.bytes.subarray(at, at + part.length);
    const { path, offset } = part;
    const readInto = async (target: Buffer, from: number): Promise<[number, number]> => {
      let used = 0;
      const found = await readRange(reader, path, from, target.length, (piece) => {
        used += piece.copy(target, used);
      });
      return [used, found ?? 0];
    };
    const [used, found] = await readInto(range, offset);
    if (part.pages !== undefined) {
      await settlePagesElsewhere(range.subarray(0, used), part.pages, async (page, at) => {
        await readInto(page, offset + at);
      });
    }
    range.fill(0, used);
    files.push({ crc32c: crc32c(range), foundBytes: found });
    at += part.length;
  }
  return files;
}

async function readSmall(
  reader: ReplicationSession,
  path: string,
  sizeBytes: number,
): Promise<Buffer | undefined> {
  const pieces: Buffer[] = [];
  const found = await readRange(reader, path, 0, sizeBytes, (piece) => void pieces.push(Buffer.from(piece)));
  return found === undefined ? undefined : Buffer.concat(pieces);
}

/** Signature, flags and extension of COPY's binary form, then the row's number of columns and the column's length. */
const copyHeadBytes = 19 + 2 + 4;

/** Returns the length, or undefined where the file is gone. */
async function readRange(
  reader: ReplicationSession,
  path: string,
  offset: number,
  length: number,
  onPiece: (piece: Buffer) => void,
): Promise<number | undefined> {
  const head = Buffer.alloc(copyHeadBytes);
  let passed = 0;
  let left = 0;
  const take = (piece: Buffer): number => {
    let at = Math.min(piece.length, Math.max(0, copyHeadBytes - passed));
    piece.copy(head, passed, 0, at);
    if (passed < copyHeadBytes && passed + at === copyHeadBytes) left = head.readInt32BE(copyHeadBytes - 4);
    passed += piece.length;
    const end = Math.min(piece.length, at + Math.max(0, left));
    if (end > at) onPiece(piece.subarray(at, end));
    left -= end - at;
    at = end;
    return piece.length;
  };
  const command = `COPY (SELECT pg_catalog.pg_read_binary_file(${quoteLiteral(path)}, ${offset}, ${length}, true)) TO STDOUT (FORMAT binary)`;
  try {
    await reader.run(command, { take, whenReady: async () => {} });
  } catch (error) {
    if (!(error instanceof ClonaError) || error.details?.['sqlState'] !== '42501') throw error;
    throw new ClonaError('databaseFailed', `the server does not hand out ${path}`, {
      cause: error,
      hint: needed,
    });
  }
  const told = head.readInt32BE(copyHeadBytes - 4);
  return told < 0 ? undefined : told;
}

const needed =
  'a hot backup from another host needs the role pg_read_server_files and EXECUTE on pg_read_binary_file, pg_ls_dir, pg_stat_file, pg_backup_start and pg_backup_stop';
