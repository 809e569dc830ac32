import type { GateDecision } from '../gate/gate.ts';
import type { Bearing, SmokeRun } from './operations.ts';
import type { KeptError } from './step.ts';
import type { TakenBack } from './take-back.ts';

export interface PromoteInput {
  promotion: string;
  release: string;
  by: string;
  startedAt: string;
}

export interface PromoteResult {
  promotion: string;
  release: string;
  /**
   * refused: the gate was closed, LIVE was not touched · withdrawn: closed again before the first change, LIVE is
   * open as it was · rolledBack: proven back at P and open · failed: LIVE stays closed for users.
   */
  outcome: 'promoted' | 'refused' | 'withdrawn' | 'rolledBack' | 'failed';
  gate: GateDecision | null;
  /** P, and what was counted there. */
  bearing: Bearing | null;
  smoke: SmokeRun | null;
  takenBack: TakenBack | null;
  error: KeptError | null;
}
