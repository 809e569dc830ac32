import type { OnProgress } from '../../../progress.ts';
import type { FenceReport, FenceRule } from '../../postgres/fence/fence.ts';
import type { OracleTools } from '../guest-tools.ts';
import { readMark, writeMark } from '../restore-mark.ts';
import type { RestoreTarget } from '../restore-target.ts';
import { openSqlPlusSession } from '../sqlplus-session.ts';
import { requireOracleFence } from './fence.ts';

export interface FenceCloneOptions {
  tools: OracleTools;
  target: RestoreTarget;
  /** The site's own ways out (`staging.fence`). */
  rules: readonly FenceRule[];
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
  onProgress,
}: FenceCloneOptions): Promise<FencedClone> {
  const session = openSqlPlusSession(tools, 'fence');
  const { recoveryDir, recoveryBytes } = target;
  const report = await requireOracleFence({ session, recoveryDir, recoveryBytes, rules, onProgress });
  const [row] = await session.query('SELECT LOGINS FROM V$INSTANCE');
  // From now on people may be in it: no restore goes on here, or over it.
  const mark = await readMark(tools, target.dataDir);
  if (mark !== null) await writeMark(tools, target.dataDir, { ...mark, stage: 'fenced' });
  return { ...report, logins: row?.[0] ?? '' };
}
