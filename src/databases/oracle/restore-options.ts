import type { OracleTools } from './guest-tools.ts';
import type { Kept } from './place-kept-files.ts';
import type { RestoreFacts } from './restore-facts.ts';
import type { RestoreUntil } from './restore-program.ts';
import type { RestoreTarget } from './restore-target.ts';
import type { OnProgress } from '../../progress.ts';
import type { PlanAnswer } from '../../recovery/answer.ts';
import type { Catalog } from '../../recovery/catalog.ts';

export interface OracleRestoreOptions {
  plan: PlanAnswer;
  catalog: Catalog;
  facts: RestoreFacts;
  target: RestoreTarget;
  tools: OracleTools;
  until: RestoreUntil;
  onProgress: OnProgress;
  /** Between two looks at V$SESSION_LONGOPS while RMAN works. Default 5 s. */
  pollMs?: number | undefined;
  /** What the site keeps beside the backups (`readKept`): parameters, password file, wallet, keystore. */
  kept?: Kept | null | undefined;
  /** Of a keystore that does not open by itself. Goes through standard input only. */
  keystorePassword?: string | undefined;
}
