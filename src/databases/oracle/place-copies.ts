import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClonaError } from '../../errors.ts';
import type { PlanAnswer } from '../../recovery/answer.ts';
import type { Catalog } from '../../recovery/catalog.ts';
import { readLineage, tracePath } from '../../recovery/lineage.ts';
import { makeFolder, type OracleTools } from './guest-tools.ts';
import { unpackLog } from './keep-logs.ts';
import type { KeptLog } from './kept-logs.ts';
import type { MountedDatabase } from './mounted-facts.ts';
import type { CopiedDatabase, RestoreFacts } from './restore-facts.ts';
import type { RestoreTarget } from './restore-target.ts';
import { joinGuest } from './rman-text.ts';
import { archivedLogName, type CopiedFile } from './user-managed-program.ts';

export interface PlaceOptions {
  plan: PlanAnswer;
  catalog: Catalog;
  facts: RestoreFacts;
  target: RestoreTarget;
  tools: OracleTools;
}

const copyName = /(?:^|[\\/])file_(\d+)\.dbf$/;

/** The copies of a backup that RMAN did not make; null: RMAN restores it. Hot backups of clona's own are told by their files' names. */
export function copiedDatabase(
  { copies, pieces }: RestoreFacts,
  label: string | null,
): CopiedDatabase | null {
  const known = copies?.[label ?? ''];
  if (known !== undefined) return known;
  const paths = pieces[label ?? ''] ?? [];
  const files = paths.flatMap((path) => {
    const number = copyName.exec(path)?.[1];
    return number === undefined ? [] : [{ file: Number(number), path }];
  });
  if (files.length === 0) return null;
  return { files, controlFile: paths.find((path) => /[\\/]control\.ctl$/.test(path)) ?? null, logDirs: [] };
}

/**
 * RMAN does not restore what it did not make: the copies are copied to the clone's disk, the logs were cataloged, SQL*Plus
 * recovers. A time is left to its position: UNTIL CHANGE is exclusive and exact.
 */
export async function placeCopies(
  { target, tools }: PlaceOptions,
  copied: CopiedDatabase,
  mounted: MountedDatabase,
): Promise<CopiedFile[]> {
  const files: CopiedFile[] = [];
  for (const { file, path } of copied.files) {
    const known = mounted.datafiles.find((one) => one.file === file);
    if (known === undefined) continue;
    const clone = joinGuest(target.platform, target.dataDir, `file_${file}.dbf`);
    const { exitCode, stderr } = await tools.guest.run(['cp', '--', path, clone], { signal: tools.signal });
    if (exitCode !== 0) {
      const full = /no space left/i.test(stderr);
      throw new ClonaError(
        full ? 'diskFull' : 'targetFailed',
        `cannot copy ${path} to the clone: ${stderr.trim().slice(0, 200)}`,
        { hint: 'does the clone see the archive, and is there room on its disk?' },
      );
    }
    files.push({ production: known.name, clone });
  }
  const missing = mounted.datafiles.filter(
    ({ name }) => !files.some(({ production }) => production === name),
  );
  if (missing.length > 0) {
    throw new ClonaError(
      'archiveMissing',
      `the backup holds no copy of ${missing.map(({ name }) => name).join(', ')}`,
      {
        hint: 'the control file is of a later time than the backup: restore with the one that lies beside it',
      },
    );
  }
  return files;
}

/**
 * Folders of logs that RMAN is to catalog beside the site's: those beside a copy as they are, compressed ones unpacked on the
 * clone, each compared with its checksum. With a separator at their end, for START WITH is a prefix.
 */
export async function placeKeptLogs(options: PlaceOptions, beside: readonly string[]): Promise<string[]> {
  const { target, tools } = options;
  const separator = target.platform === 'windows' ? '\\' : '/';
  const folders = beside.map((folder) => (folder.endsWith(separator) ? folder : `${folder}${separator}`));
  const needed = chooseKept(options).filter(({ path }) => path.endsWith('.zst'));
  if (needed.length === 0) return folders;
  const folder = joinGuest(target.platform, tools.workDir, 'logs');
  await makeFolder(tools.guest, folder, tools.signal);
  const here = await mkdtemp(join(tmpdir(), 'clona-logs-'));
  try {
    for (const log of needed) {
      const name = archivedLogName(log.thread, log.sequence, log.branch);
      await unpackLog(log, join(here, name), tools.signal);
      await tools.guest.upload(join(here, name), joinGuest(target.platform, folder, name), tools.signal);
      await rm(join(here, name));
    }
  } finally {
    await rm(here, { recursive: true, force: true });
  }
  return [...folders, `${folder}${separator}`];
}

/** The kept logs on the way to the target that hold redo the plan needs. */
function chooseKept({ plan, catalog, facts }: PlaceOptions): KeptLog[] {
  const { redoFrom, redoTo } = plan;
  if (redoFrom === null || redoTo === null || redoFrom === redoTo) return [];
  const path = tracePath(readLineage(catalog), plan.target.incarnation).incarnations;
  const branches = new Set(path.map(({ branchPosition }) => String(branchPosition)));
  return Object.values(facts.keptLogs ?? {}).filter(
    ({ branch, first, next, state }) =>
      state === 'available' && branches.has(branch) && BigInt(first) < redoTo && BigInt(next) > redoFrom,
  );
}
