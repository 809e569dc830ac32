import { ClonaError, toClonaError } from '../../../errors.ts';
import type { OracleSql } from '../connect.ts';
import { quoteSqlText } from '../rman-text.ts';

/** A session in the root of the clone, as SYSDBA, before anyone is let in. */
export interface OracleFenceContext {
  session: OracleSql;
  /** The clone's own recovery area: the one place its archived logs may go. */
  recoveryDir: string;
  recoveryBytes: number;
  /** Services of production that the application on the clone connects to, and that therefore go on; default none. */
  keepServices?: readonly string[] | undefined;
}

/** One way out of a clone (R21). Both functions may be repeated. */
export interface OracleFenceItem {
  name: string;
  /** Cuts it off. */
  apply: (context: OracleFenceContext) => Promise<void>;
  /** What still leads out, in words; empty: cut off. Looks at the server, not at what `apply` did. */
  findHoles: (context: OracleFenceContext) => Promise<string[]>;
}

/**
 * `now`: at once and after a restart. `restart`: a static parameter; until the restart `findHoles` still finds the hole. ALTER
 * SYSTEM takes no bound values.
 */
export function setParameter(name: string, value: string, when: 'now' | 'restart'): string {
  const scope = when === 'now' ? 'BOTH' : 'SPFILE';
  const text = /^(?:\d+|TRUE|FALSE)$/.test(value) ? value : value === '' ? "''" : quoteSqlText(value, name);
  return `ALTER SYSTEM SET ${name} = ${text} SCOPE = ${scope}`;
}

/** Sets those that this release knows and that are otherwise; the value is compared as V$PARAMETER shows it. */
export async function setParameters(
  session: OracleSql,
  values: Readonly<Record<string, string>>,
  when: 'now' | 'restart' = 'now',
): Promise<void> {
  const known = await readParameters(session, Object.keys(values));
  for (const [name, value] of Object.entries(values)) {
    if (known.has(name) && known.get(name) !== value) await changeParameter(session, name, value, when);
  }
}

/** What a restart would undo is no fence: an instance that runs from a PFILE is told of, and not changed. */
async function changeParameter(
  session: OracleSql,
  name: string,
  value: string,
  when: 'now' | 'restart',
): Promise<void> {
  try {
    await session.execute(setParameter(name, value, when));
  } catch (error) {
    if (toClonaError(error).details?.['code'] !== 'ORA-32001') throw error;
    throw new ClonaError(
      'fenceFailed',
      `${name} cannot be set for good: the clone runs from a PFILE (ORA-32001)`,
      {
        cause: error,
        hint: 'CREATE SPFILE FROM PFILE, and start the clone anew with STARTUP RESTRICT',
      },
    );
  }
}

export async function readParameters(
  session: OracleSql,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const list = names.map((name) => quoteSqlText(name, 'a parameter')).join(', ');
  const rows = await session.query(`SELECT NAME, VALUE FROM V$PARAMETER WHERE NAME IN (${list})`);
  return new Map(rows.map(([name, value]) => [name ?? '', value ?? '']));
}

/** Parameters that are not as they have to be, in words. */
export async function findWrong(
  session: OracleSql,
  values: Readonly<Record<string, string>>,
): Promise<string[]> {
  const known = await readParameters(session, Object.keys(values));
  return Object.entries(values)
    .filter(([name, value]) => (known.get(name) ?? value).toUpperCase() !== value.toUpperCase())
    .map(([name]) => `${name} is ${known.get(name) === '' ? 'empty' : known.get(name)}`);
}
