import type { Account } from '../wire/backend.ts';

/** A database user: system privileges and roles by name, object grants as `SELECT ON SYS.V_$DATABASE`. */
export interface User {
  name: string;
  password: string;
  status?: 'OPEN' | 'EXPIRED' | 'LOCKED';
  grants: string[];
  /** Tablespaces on which it has a quota, in bytes; -1: unlimited. */
  quotas?: Record<string, number>;
}

const refusals = { OPEN: null, EXPIRED: 28001, LOCKED: 28000 } as const;

export function accountOf({ name, password, status = 'OPEN' }: User): Account {
  return { name, password, refusal: refusals[status] };
}

/** Roles that bring everything a DBA may, except to log on as SYSDBA. */
const wide = new Set(['DBA', 'SYSDBA', 'SYSBACKUP']);

export function holds({ grants }: User, ...privileges: string[]): boolean {
  return grants.some((grant) => wide.has(grant) || privileges.includes(grant));
}

/** May this user read a view of the dictionary? `name` is V_$… where the view is V$…. */
export function mayRead(user: User, name: string): boolean {
  if (holds(user, 'SELECT ANY DICTIONARY', 'SELECT_CATALOG_ROLE')) return true;
  const grants = [`SELECT ON SYS.${name}`, `SELECT ON ${name}`, `READ ON SYS.${name}`, `READ ON ${name}`];
  return holds(user, ...grants);
}

/** Names without quotes come in any case. */
export function findUser({ users }: { users: readonly User[] }, name: string): User | undefined {
  const wanted = name.startsWith('"') ? name.replaceAll('"', '') : name.toUpperCase();
  return users.find((user) => user.name === wanted);
}
