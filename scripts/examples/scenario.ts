import type { PlanAnswer } from '../../src/recovery/answer.ts';
import type { Catalog } from '../../src/recovery/catalog.ts';
import { planRecovery } from '../../src/recovery/plan.ts';
import { parseUntil, type Lost } from '../../src/recovery/question.ts';

/** Tells a line of the story. */
export type Tell = (line: string) => void;

/** What the theory says must be so; the example ends here when it is not. */
export function mustBe(condition: boolean, what: string): void {
  if (!condition) throw new Error(`not as the theory says: ${what}`);
}

/** Asks the planner, and tells its answer in one line. */
export function askAndTell(tell: Tell, catalog: Catalog, until: string, lost: Lost = 'database'): PlanAnswer {
  const plan = planRecovery(catalog, { until: parseUntil(until), lost });
  const question = `  clona plan --until ${until} --lost ${lost}`;
  if (plan.reachable) {
    const logs = plan.logs.map((log) => `${log.incarnation}/${log.thread}/${log.sequence}`).join(', ');
    const reset =
      plan.resetDatabaseToIncarnation === null
        ? ''
        : `, after RESET DATABASE TO INCARNATION ${plan.resetDatabaseToIncarnation}`;
    const online = plan.usesOnlineLog ? ' and the online log' : '';
    tell(
      `${question}\n    reachable: backup ${plan.backup}, redo ${plan.redoFrom} to ${plan.redoTo}, logs ${logs || 'none'}${online}${reset}`,
    );
  } else {
    tell(`${question}\n    unreachable`);
    for (const { backup, reasons } of plan.rejected) tell(`      ${backup}: ${reasons.join('; ')}`);
    const { below, above } = plan.nearest;
    tell(`      nearest: below ${below ?? 'none'}, above ${above ?? 'none'}`);
  }
  return plan;
}
