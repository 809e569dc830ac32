import type { Finding, Patient } from './check.ts';
import type { OracleFacts } from './oracle-facts.ts';

type OracleJudge = (facts: OracleFacts, patient: Patient) => Finding[] | Promise<Finding[]>;

/** A check of an Oracle site. Silent for PostgreSQL, and when `oracleReachable` has said why there is nothing to look at. */
export function onOracle(judge: OracleJudge): (patient: Patient) => Promise<Finding[]> {
  return async (patient) => {
    if (patient.site.database.engine !== 'oracle') return [];
    const facts = await patient.oracle?.().catch(() => undefined);
    return facts === undefined ? [] : judge(facts, patient);
  };
}
