import { OraError } from '../wire/values.ts';
import type { EvaluationContext } from '../sql/zones.ts';
import type { Dictionary } from '../sql/scope.ts';
import { holds, type User } from './accounts.ts';
import type { Instance } from './instance.ts';

/** What a command may work with. */
export interface Session {
  instance: Instance;
  user: User;
  /** Starts a transaction when there is none yet. */
  transaction(): number;
  dictionary(): Dictionary;
  context: EvaluationContext;
  /** CURRENT_SCHEMA: where names without one are looked for and made. */
  schema(): string;
  setSchema(name: string): void;
  /** ALTER SESSION SET CONTAINER. */
  container(): string;
  setContainer(name: string): void;
  commit(): void;
  rollback(): void;
  /** DBMS_FLASHBACK: queries see this moment; null: now. */
  setAsOf(scn: bigint | null): void;
  /** Until its end: SET TRANSACTION READ ONLY. */
  setReadOnly(): void;
}

/** A command whose text was understood: calling it does it. */
export type Action = () => void | Promise<void>;

export function requirePrivilege(user: User, ...privileges: string[]): void {
  if (!holds(user, ...privileges)) throw new OraError(1031, 'insufficient privileges');
}

/** What needs a session AS SYSDBA or AS SYSBACKUP: the role DBA does not bring it. */
export function requireAdministrator({ name }: User): void {
  if (name !== 'SYS' && name !== 'SYSBACKUP') throw new OraError(1031, 'insufficient privileges');
}
