import type { GateDecision } from '../gate/gate.ts';
import type { KitApplied, KitFound, SmokeRun } from './operations.ts';
import type { KeptError } from './step.ts';

export interface ReleaseResult {
  release: string;
  state: string;
  kit: KitFound | null;
  upgrade: KitApplied | null;
  smoke: SmokeRun | null;
  gate: GateDecision | null;
  error: KeptError | null;
}
