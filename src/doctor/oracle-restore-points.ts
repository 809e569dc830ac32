import { formatSize } from '../site/units.ts';
import { failed, ok, warning } from './check.ts';
import { onOracle } from './on-oracle.ts';

/**
 * R11. A guaranteed restore point keeps every block as it was, whatever room it takes: no retention and no DELETE OBSOLETE touches it, and
 * production stops when the recovery area is full. It belongs to a promotion, and goes with it.
 */
export const oracleRestorePoints = onOracle(({ rows }, { site }) => {
  const points = rows.restorePoints.filter(({ guaranteed }) => guaranteed === 'YES');
  if (points.length === 0) return [ok('no guaranteed restore point fills the recovery area')];
  const [area] = rows.recoveryArea;
  const limit = Number(area?.limit ?? 0);
  const held = limit === 0 ? 0 : ((Number(area?.used ?? 0) - Number(area?.reclaimable ?? 0)) / limit) * 100;
  return points.map(({ name, storage }) => {
    const bytes = Number(storage ?? 0);
    const share = limit === 0 ? '' : `, ${Math.round((bytes / limit) * 100)} % of the recovery area`;
    const said = `guaranteed restore point ${name ?? ''} keeps ${formatSize(bytes)} of flashback logs${share}, and grows with every change`;
    const mend = `when no promotion runs: DROP RESTORE POINT "${name ?? ''}"; nothing else frees its room`;
    return held >= site.archive.zone.red ? failed(said, mend, 6) : warning(said, mend);
  });
});
