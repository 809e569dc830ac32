import { ClonaError } from '../../../errors.ts';
import { withProgress, type OnProgress } from '../../../progress.ts';
import type { FenceFact, FenceReport, FenceRule } from '../../postgres/fence/fence.ts';
import type { OracleTools } from '../guest-tools.ts';
import { readMark, writeMark } from '../restore-mark.ts';
import type { RestoreTarget } from '../restore-target.ts';
import { openSqlPlusSession } from '../sqlplus-session.ts';
import { requireOracleFence } from './fence.ts';
import type { OracleFenceContext } from './item.ts';
import { links } from './items.ts';
import { jobProcesses, oldJobs, schedulerJobs } from './jobs.ts';
import { mailServer, networkRights } from './network.ts';

export interface FenceCloneOptions {
  tools: OracleTools;
  target: RestoreTarget;
  /** The site's own ways out (`staging.fence`). */
  rules: readonly FenceRule[];
  /** `staging.services`: those of production that the application on the clone asks for. */
  keepServices?: readonly string[] | undefined;
  onProgress: OnProgress;
}

export interface FencedClone extends FenceReport {
  /** V$INSTANCE.LOGINS afterwards: ALLOWED. */
  logins: string;
}

/**
 * The fence round a clone that `restoreOracle` has left restricted, put up by SQL*Plus on its machine: no listener, no
 * password. Each part is cut off and then tested; only when all hold does the restriction end. Throws `fenceFailed` naming every
 * hole, and the session stays restricted (R21). May be repeated.
 */
export async function fenceOracleClone({
  tools,
  target,
  rules,
  keepServices,
  onProgress,
}: FenceCloneOptions): Promise<FencedClone> {
  const session = openSqlPlusSession(tools, 'fence');
  const { recoveryDir, recoveryBytes } = target;
  const open = await session.query(
    "SELECT NAME FROM V$PDBS WHERE CON_ID > 2 AND OPEN_MODE <> 'MOUNTED' ORDER BY CON_ID",
  );
  const inside = open.map(([name]) => ({
    name: name ?? '',
    session: openSqlPlusSession(tools, 'fence', name ?? ''),
    recoveryDir,
    recoveryBytes,
  }));
  const pluggable: FenceFact[] = [];
  for (const context of inside) pluggable.push(await fencePluggable(context, onProgress));
  const broken = pluggable.filter(({ holds }) => !holds);
  if (broken.length > 0) {
    const said = broken.map(({ name, holes }) => `${name}: ${holes.join(', ')}`).join('; ');
    throw new ClonaError('fenceFailed', `the fence round the restored database has holes: ${said}`, {
      hint: 'all containers stay restricted, nobody is let in',
      details: { parts: broken },
    });
  }
  const report = await requireOracleFence({
    session,
    recoveryDir,
    recoveryBytes,
    rules,
    keepServices,
    onProgress,
  });
  for (const one of inside) await one.session.execute('ALTER SYSTEM DISABLE RESTRICTED SESSION');
  const [row] = await session.query('SELECT LOGINS FROM V$INSTANCE');
  // From now on people may be in it: no restore goes on here, or over it.
  const mark = await readMark(tools, target.dataDir);
  if (mark !== null) await writeMark(tools, target.dataDir, { ...mark, stage: 'fenced' });
  return { fenced: report.fenced, parts: [...pluggable, ...report.parts], logins: row?.[0] ?? '' };
}

/**
 * What a container has of its own: jobs, mail, rights to the network, links. Where its log goes and what it is called by is the
 * root's. A session in the root sees it, and cannot take it away.
 */
const ofContainers = [jobProcesses, schedulerJobs, oldJobs, links, mailServer, networkRights] as const;

async function fencePluggable(
  context: OracleFenceContext & { name: string },
  onProgress: OnProgress,
): Promise<FenceFact> {
  const name = `pluggable database ${context.name}`;
  return withProgress(onProgress, `fence: ${name}`, async () => {
    await context.session.execute('ALTER SYSTEM ENABLE RESTRICTED SESSION');
    for (const item of ofContainers) await item.apply(context);
    const holes: string[] = [];
    for (const item of ofContainers) holes.push(...(await item.findHoles(context)));
    return { name, holds: holes.length === 0, holes };
  });
}
