import type { GateFacts, GatePolicy } from './facts.ts';
import { liveConditions } from './live-conditions.ts';
import { peopleConditions } from './people-conditions.ts';
import { stagingConditions } from './staging-conditions.ts';
import type { ConditionRow } from './verdict.ts';

/** R17 to R20 as one table: the gate is the conjunction of its rows, and of nothing else. */
export const conditionTable = {
  ...stagingConditions,
  ...peopleConditions,
  ...liveConditions,
} as const satisfies Record<string, ConditionRow>;

export type ConditionName = keyof typeof conditionTable;

export interface Condition {
  name: ConditionName;
  open: boolean;
  rules: readonly string[];
  due: ConditionRow['due'];
  reason: string;
  /** What would open it; null where it is open. */
  remedy: string | null;
}

export interface GateDecision {
  open: boolean;
  conditions: Condition[];
  /** Conditions that come due later than asked for; they did not count. */
  later: ConditionName[];
}

/**
 * Decides for one release (R18): open when every condition that is due holds. `due` says how far the promotion is:
 * `promotion` before LIVE closes for its users, `firstChange` when everything counts, the guard backup too.
 */
export function decideGate(
  facts: GateFacts,
  policy: GatePolicy,
  now: Date,
  due: ConditionRow['due'] = 'firstChange',
): GateDecision {
  // Object.keys of a literal record gives its own keys.
  const names = Object.keys(conditionTable) as ConditionName[];
  const isDue = (name: ConditionName): boolean =>
    due === 'firstChange' || conditionTable[name].due === 'promotion';
  const conditions = names.map((name): Condition => {
    const row: ConditionRow = conditionTable[name];
    const verdict = row.judge(facts, policy, now);
    return {
      name,
      open: verdict.open,
      rules: row.rules,
      due: row.due,
      reason: verdict.reason,
      remedy: verdict.open ? null : verdict.remedy,
    };
  });
  return {
    open: conditions.every(({ name, open }) => open || !isDue(name)),
    conditions,
    later: names.filter((name) => !isDue(name)),
  };
}

/** The closed conditions that count, as people read them. */
export function closedConditions(decision: GateDecision): Condition[] {
  return decision.conditions.filter(({ name, open }) => !open && !decision.later.includes(name));
}
