import type { DatabaseAddress } from '../databases/database.ts';
import type { Connection } from '../databases/postgres/connect.ts';
import type { Site } from '../site/site.ts';
import type { OracleFacts } from './oracle-facts.ts';

/** What one check found. */
export interface Finding {
  /** `warning`: it works, but not as it should. `skipped`: it cannot be known here; `what` says why. */
  state: 'ok' | 'warning' | 'failed' | 'skipped';
  /** One phrase: what was looked at and what it is like. */
  what: string;
  /** For warnings and failures: what to do, as a command or setting wherever there is one. */
  mend?: string | undefined;
  /** For failures: 2 (default) a setting is to be mended; 6 a machine, database, disk or network failed. */
  exit?: 2 | 6 | undefined;
}

/** What the checks share. Nothing in it is changed by a check, and no check changes anything that lasts. */
export interface Patient {
  site: Site;
  signal: AbortSignal;
  now: Date;
  /** Opened once, at the first question; rejects the same way for everyone when there is no way in. */
  production: () => Promise<Production>;
  /** The same for a site with `database.engine: oracle`. */
  oracle?: (() => Promise<OracleFacts>) | undefined;
}

export interface Production {
  address: DatabaseAddress;
  connection: Connection;
}

export const topics = ['controller', 'site', 'secrets', 'archive', 'database', 'staging', 'state'] as const;
export type Topic = (typeof topics)[number];

/** One row of the table: a small function that looks at one thing. */
export interface Check {
  topic: Topic;
  /** Rules of docs/recovery-theory.md that it guards: `R16`. */
  rules?: readonly string[] | undefined;
  look: (patient: Patient) => Promise<Finding[]> | Finding[];
}

export const ok = (what: string): Finding => ({ state: 'ok', what });
export const warning = (what: string, mend: string): Finding => ({ state: 'warning', what, mend });
export const failed = (what: string, mend: string, exit: 2 | 6 = 2): Finding => ({
  state: 'failed',
  what,
  mend,
  exit,
});
export const skipped = (what: string): Finding => ({ state: 'skipped', what });
