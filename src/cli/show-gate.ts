import { closedConditions, type GateDecision } from '../gate/gate.ts';

/** The gate as the DBA reads it: open, or each closed condition with what would open it. */
export function showGate(gate: GateDecision): string {
  const closed = closedConditions(gate);
  if (closed.length === 0) return 'gate: open';
  const lines = closed.map(
    ({ reason, remedy, rules }) => `  ✖ ${reason} (${rules.join(', ')})\n      → ${remedy ?? ''}`,
  );
  return ['gate: closed', ...lines].join('\n');
}

/** The same for `--json`. */
export function gateToJson(gate: GateDecision | null): unknown {
  if (gate === null) return null;
  const closed = closedConditions(gate).map(({ name, reason, remedy, rules }) => ({
    name,
    reason,
    remedy,
    rules,
  }));
  return { open: gate.open, closed, conditions: gate.conditions };
}
