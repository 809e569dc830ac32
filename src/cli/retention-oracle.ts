import { ClonaError } from '../errors.ts';
import { explainRetention, retentionToJson } from '../retention/explain.ts';
import type { Policy } from '../retention/policy.ts';
import { planRemoval } from '../retention/removal.ts';
import { decideRetention } from '../retention/retention.ts';
import { explainWhatIf, whatIfRemoved, whatIfToJson } from '../retention/what-if.ts';
import { writeRemovalProgram } from '../databases/oracle/rman-removal.ts';
import type { OracleSite } from './read-catalog.ts';
import type { OptionValues, VerbContext, VerbResult } from './verb.ts';

/** Retention of an Oracle site: decided here, done by RMAN, whose own account of the recovery area must stay right (R11). */
export async function decideForOracle(
  context: VerbContext,
  options: OptionValues,
  { catalog, facts, warnings }: OracleSite,
  readPolicy: () => Promise<Policy>,
  nowMs: number,
): Promise<VerbResult> {
  if (options['pin'] !== undefined || options['unpin'] !== undefined) {
    throw new ClonaError('usage', 'a backup of Oracle is pinned in its own control file', {
      hint: 'in RMAN: CHANGE BACKUP TAG … KEEP FOREVER, and NOKEEP to leave it to the policy again; clona reads it from there',
    });
  }
  for (const line of warnings) context.note(`warning: ${line}`);
  if (Array.isArray(options['remove'])) {
    const answer = whatIfRemoved(catalog, options['remove'].map(String));
    return { json: whatIfToJson(answer), human: explainWhatIf(catalog, answer) };
  }
  const answer = decideRetention(catalog, await readPolicy(), nowMs);
  const removal = planRemoval(catalog, answer);
  const program = writeRemovalProgram(removal, catalog, facts);
  if (options['apply'] === true) {
    throw new ClonaError('usage', "clona does not delete what lies in Oracle's recovery area", {
      hint: 'give the program that clona retention prints to RMAN on the server: rman target / nocatalog cmdfile=…',
    });
  }
  return {
    json: { ...retentionToJson(answer), removal, rman: program },
    human: `${explainRetention(catalog, answer)}\n\nfor RMAN, which keeps the account of the recovery area:\n\n${program.trimEnd()}`,
  };
}
