import type { Backup, Catalog } from '../recovery/catalog.ts';
import { readCoverage, type Coverage } from '../recovery/coverage.ts';
import { readLineage, tracePath, type Lineage } from '../recovery/lineage.ts';
import { findBroken, isRunning, liesOn, reachOf } from '../recovery/serve.ts';

/** Where one backup stands before any rule of the policy looks at it. */
export type Standing =
  /** missing, damaged, expired */
  | 'gone'
  /** A23 */
  | 'running'
  /** Of an ORPHAN, or of a PARENT but consistent only after the branch (A15). */
  | 'orphan'
  /** Serves CURRENT and can be brought to its own consistentFrom by archived logs alone. */
  | 'usable'
  /** Serves CURRENT, but the archived logs have a gap, or what it stands on is not there. */
  | 'unusable';

/** A16: exports are a series of their own. */
export type Series = 'backups' | 'exports';

export interface Standings {
  lineage: Lineage;
  coverage: Coverage;
  of: (backup: Backup) => Standing;
}

export function judgeStandings(catalog: Catalog): Standings {
  const lineage = readLineage(catalog);
  const path = tracePath(lineage, catalog.currentIncarnation);
  const coverage = readCoverage(catalog, path, 'online-log');
  const broken = findBroken(catalog.backups);
  const standings = new Map<string, Standing>();
  for (const backup of catalog.backups) standings.set(backup.label, judge(backup));
  return { lineage, coverage, of: ({ label }) => standings.get(label)! };

  function judge(backup: Backup): Standing {
    if (backup.state !== 'available') return 'gone';
    if (isRunning(backup)) return 'running';
    if (!liesOn(path, backup)) return 'orphan';
    if (broken.has(backup.label)) return 'unusable';
    if (backup.kind === 'export') return 'usable';
    return reachOf(backup, coverage, 'archived') === null ? 'unusable' : 'usable';
  }
}

export function seriesOf({ kind }: Backup): Series {
  return kind === 'export' ? 'exports' : 'backups';
}
