import { explainZone } from '../retention/zone.ts';
import { failed, ok, warning, type Finding, type Patient } from './check.ts';

/** R12: how full archive and log area are, and when the next zone comes at the growth that clona serve has seen. */
export async function zones({ site, signal, now }: Patient): Promise<Finding[]> {
  const { judgeZone } = await import('../pipeline/zone-guard.ts');
  const { decision } = await judgeZone(site, signal, now);
  const lines = explainZone(decision);
  return decision.areas.map(({ zone }, index) => {
    const said = lines[index] ?? '';
    const byHand =
      site.database.engine === 'oracle' ? 'the program of clona retention' : 'clona retention --apply --yes';
    const mend = `clona serve guards it (R12); by hand: ${byHand}, or give it room`;
    if (zone === 'red') return failed(said, mend, 6);
    return zone === 'yellow' ? warning(said, mend) : ok(said);
  });
}
