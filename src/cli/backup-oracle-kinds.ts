import { ClonaError } from '../errors.ts';
import type { DatabaseAddress } from '../databases/database.ts';
import type { OracleTools } from '../databases/oracle/guest-tools.ts';
import type { OraclePlaces } from '../databases/oracle/site-catalog.ts';
import { withProgress, type OnProgress } from '../progress.ts';
import type { Site } from '../site/site.ts';

export const oracleKinds = ['managed', 'hot', 'quiesced', 'cold', 'export'] as const;
export type OracleKind = (typeof oracleKinds)[number];

export interface Taken {
  /** undefined: the newest that the control file shows. */
  label: string | undefined;
  jobLog: { verdict: string; errors: string[] } | null;
  redoBytes: number | null;
  /** Longest time that a writer waited; null: nobody had to. */
  pauseMs: number | null;
  keptLogs: number | null;
  warnings: string[];
}

export interface Task {
  site: Site;
  kind: OracleKind;
  address: DatabaseAddress;
  tools: OracleTools;
  places: OraclePlaces;
  run: string;
  label: string | undefined;
  onProgress: OnProgress;
}

const nothing = { jobLog: null, redoBytes: null, pauseMs: null, keptLogs: null, warnings: [] };

/** Running transactions have so long to end before a quiesced backup gives up. */
const quietLimitMs = 30_000;

export async function takeOracleBackup(task: Task): Promise<Taken> {
  const { kind } = task;
  if (kind === 'hot' || kind === 'quiesced') return takeCopied(task, kind);
  return kind === 'export' ? takePumped(task) : takeByRman(task, kind);
}

async function takeByRman({ tools, label, onProgress }: Task, kind: 'managed' | 'cold'): Promise<Taken> {
  const { takeRmanBackup } = await import('../databases/oracle/take-backup.ts');
  return withProgress(onProgress, 'back up with RMAN', async () => {
    const program = { kind, level: null, tag: label, channels: 1, compressed: true } as const;
    const watch = { step: 'back up with RMAN', onProgress };
    const { judgement } = await takeRmanBackup(tools, program, watch);
    const { verdict, errors } = judgement;
    return { ...nothing, label: undefined, jobLog: { verdict, errors } };
  });
}

async function takeCopied(
  { site, address, tools, places, label, run, onProgress }: Task,
  kind: 'hot' | 'quiesced',
): Promise<Taken> {
  const { compareDisks } = await import('../pipeline/oracle/disks-apart.ts');
  const shared = await compareDisks(site, address, tools);
  const { takeCopies } = await import('../databases/oracle/take-copies.ts');
  const { backup, redoBytes, quiet, keptLogs } = await takeCopies({
    kind,
    address,
    tools,
    places,
    label: label ?? `${kind}-${run}`,
    limitMs: quietLimitMs,
    onProgress,
    now: () => new Date(),
  });
  const warnings = shared === null ? [] : [shared];
  return { ...nothing, label: backup.label, redoBytes, pauseMs: quiet?.pauseMs ?? null, keptLogs, warnings };
}

async function takePumped({ site, address, tools, places, label, run, onProgress }: Task): Promise<Taken> {
  const wanted = site.database.oracle?.export ?? site.database.oracle?.import;
  if (wanted === undefined) {
    throw new ClonaError('siteInvalid', 'the site file says nothing of an export (database.oracle.export)', {
      hint: 'export: { directory: DUMPS, schemas: [ERP] }',
    });
  }
  const { takeExport } = await import('../databases/oracle/take-export.ts');
  const { readSchemaName } = await import('../databases/oracle/import/clone-schema.ts');
  const { backup, judgement, warnings } = await takeExport({
    address,
    tools,
    places,
    label: label ?? `export-${run}`,
    directory: wanted.directory,
    schemas: wanted.schemas.map(readSchemaName),
    onProgress,
    now: () => new Date(),
  });
  const jobLog = { verdict: judgement.verdict, errors: judgement.errors };
  return { ...nothing, label: backup.label, jobLog, warnings };
}
