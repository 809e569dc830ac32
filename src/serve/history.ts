import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { VerbOutcome } from './run-verb.ts';

export interface ReleaseRequest {
  kit: string;
  sha256?: string | undefined;
}

export interface RunRecord {
  id: string;
  request: ReleaseRequest;
  /** `interrupted`: clona serve ended while it ran; `clona status` knows what became of the release. */
  state: 'waiting' | 'running' | 'done' | 'failed' | 'interrupted';
  acceptedAt: string;
  outcome: VerbOutcome | null;
}

/** What was asked of clona serve and what became of it, a file a run, so that an answer outlives a restart. */
export interface History {
  put: (record: RunRecord) => Promise<void>;
  get: (id: string) => Promise<RunRecord | null>;
  /** Those that had not ended, in the order in which they were accepted. */
  listOpen: () => Promise<RunRecord[]>;
}

export async function openHistory(folder: string): Promise<History> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return {
    put: async (record) => {
      const file = join(folder, `${record.id}.json`);
      const beside = `${file}.${process.pid}.part`;
      try {
        await writeFile(beside, `${JSON.stringify(record)}\n`, { mode: 0o600 });
        await rename(beside, file);
      } finally {
        await rm(beside, { force: true });
      }
    },
    get: async (id) => readRecord(folder, id),
    listOpen: async () => {
      const files = (await readdir(folder)).filter((name) => name.endsWith('.json'));
      const records = await Promise.all(files.map(async (name) => readRecord(folder, name.slice(0, -5))));
      return records
        .filter((record) => record !== null)
        .filter(({ state }) => state === 'waiting' || state === 'running')
        .sort((left, right) => left.acceptedAt.localeCompare(right.acceptedAt));
    },
  };
}

async function readRecord(folder: string, id: string): Promise<RunRecord | null> {
  if (!/^[\w-]{1,80}$/.test(id)) return null;
  try {
    return JSON.parse(await readFile(join(folder, `${id}.json`), 'utf8')) as RunRecord;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
