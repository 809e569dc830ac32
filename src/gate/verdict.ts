import type { GateFacts, GatePolicy } from './facts.ts';

export type Verdict = { open: true; reason: string } | { open: false; reason: string; remedy: string };

export interface ConditionRow {
  /** Rules of docs/glossary.md that demand it. */
  rules: readonly `R${number}`[];
  /** `promotion`: before LIVE is closed for users; `firstChange`: before the first step of the kit on LIVE. */
  due: 'promotion' | 'firstChange';
  judge: (facts: GateFacts, policy: GatePolicy, now: Date) => Verdict;
}

export function opened(reason: string): Verdict {
  return { open: true, reason };
}

/** `remedy`: what would open it. */
export function closed(reason: string, remedy: string): Verdict {
  return { open: false, reason, remedy };
}
