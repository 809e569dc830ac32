import type { PolicyWish } from './policies.ts';
import type { WorkspaceSettings } from './workspace.ts';

export interface StagingOptions extends WorkspaceSettings {
  /** One stack a machine: its name is the machine's. */
  name: string;
  breakLock?: BreakLock | undefined;
  /** The policies of infra/policy judge every resource before it is changed. Default: none do. */
  policies?: PolicyWish | undefined;
}

/**
 * never: a locked stack is an error. dead: for a run that continues after its own crash: a lock whose process ran on
 * this host and is gone is cleared, one whose process is still ending is waited for. always: --break-lock.
 */
export type BreakLock = 'never' | 'dead' | 'always';
