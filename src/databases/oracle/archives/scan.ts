import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../../archive/durable-file.ts';
import { createJobLogJudge } from '../../../proof/job-log.ts';
import { findEncoding } from '../../../proof/job-log-text.ts';
import { readDumpNames } from '../import/dump-set.ts';
import { headBytes, recogniseOracleFile } from './file-header.ts';
import { readArchiveSets, type ArchiveFile, type ArchiveSet, type ExportLog } from './kinds.ts';

/** Job logs are small; what is larger and is no file of Oracle is no log either. */
const largestLogBytes = 256 * 2 ** 20;
const filesAtOnce = 16;

/** Looks into every file of an archive folder and its folders: their beginnings, and the whole of what may be a job log. */
export async function scanArchiveFolder(folder: string, signal: AbortSignal): Promise<ArchiveSet[]> {
  const files: ArchiveFile[] = [];
  const logs: ExportLog[] = [];
  const paths = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  // A storage far away answers many at once as fast as one.
  for (let at = 0; at < paths.length; at += filesAtOnce) {
    signal.throwIfAborted();
    await Promise.all(
      paths.slice(at, at + filesAtOnce).map(async (path) =>
        // What goes away meanwhile, or may not be read, is no archive.
        readOne(path, files, logs).catch((error: unknown) => {
          if (errorCode(error) === undefined) throw error;
        }),
      ),
    );
  }
  const byPath = (a: { path: string }, b: { path: string }): number => (a.path < b.path ? -1 : 1);
  return readArchiveSets(files.sort(byPath), logs.sort(byPath));
}

async function readOne(path: string, files: ArchiveFile[], logs: ExportLog[]): Promise<void> {
  const { size, mtimeMs } = await stat(path);
  const head = await readHead(path);
  const content = recogniseOracleFile(head);
  if (content.kind !== 'unknown') files.push({ path, bytes: size, content });
  else if (size <= largestLogBytes && looksLikeText(head)) {
    const log = await readLog(path);
    if (log !== null) logs.push({ ...log, modifiedMs: Math.floor(mtimeMs) });
  }
}

/** Zeroes are in what is no text, or in the text of UTF-16, where they are every second byte. */
function looksLikeText(head: Uint8Array): boolean {
  const some = head.subarray(0, 4096);
  const zeroes = some.reduce((sum, byte) => sum + Number(byte === 0), 0);
  return zeroes === 0 || Math.abs(zeroes * 2 - some.length) < some.length / 4;
}

async function readHead(path: string): Promise<Uint8Array> {
  await using file = await open(path);
  const bytes = new Uint8Array(headBytes);
  const { bytesRead } = await file.read(bytes, 0, headBytes, 0);
  return bytes.subarray(0, bytesRead);
}

/** null: not the log of one of the five tools. */
async function readLog(path: string): Promise<ExportLog | null> {
  await using file = await open(path);
  const bytes = await file.readFile();
  const head = bytes.subarray(0, 65_536);
  if (head.includes(0) && findEncoding([head]) === 'utf-8') return null;
  const text = new TextDecoder(findEncoding([head, bytes.subarray(-65_536)])).decode(bytes);
  const judge = createJobLogJudge();
  for (const line of text.split('\n')) judge.addLine(line);
  const judgement = judge.finish();
  return judgement.kind === null
    ? null
    : { path, judgement, startedAt: readStart(text), dumps: readDumpNames(text), text };
}

/** `Export: Release … on Thu May 1 08:04:59 2025`: wall clock of the machine that exported, told as UTC. */
function readStart(text: string): number | null {
  const found = /\bon (\w{3} \w{3} +\d{1,2} \d{2}:\d{2}:\d{2} \d{4})/.exec(text.slice(0, 4000))?.[1];
  const at = found === undefined ? Number.NaN : Date.parse(`${found} UTC`);
  return Number.isNaN(at) ? null : at;
}
