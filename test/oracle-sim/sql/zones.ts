import { OraError, SqlDate, SqlTimestamp, type ColumnType, type SqlValue } from '../wire/values.ts';
import { offsetText } from './formats.ts';

/** What functions may know of where they run. */
export interface EvaluationContext {
  user: string;
  /** Wall clock of the database's host, and how far it is from UTC. */
  now(): { milliseconds: number; offsetMinutes: number };
  databaseOffsetMinutes: number;
  sessionOffsetMinutes: number;
  userEnvironment(name: string): string | null;
  /** DBMS_METADATA.GET_DDL; throws what the package raises. */
  definition(type: string, name: string, owner: string): string;
}

/** Shifts a zoned moment to another offset. */
export function atOffset(value: SqlTimestamp, offset: number): SqlTimestamp {
  const utc = value.seconds - (value.offsetMinutes ?? 0) * 60;
  return new SqlTimestamp(utc + offset * 60, value.nanoseconds, offset);
}

export function parseOffset(zone: string): number {
  if (/^(UTC|GMT|Z)$/i.test(zone)) return 0;
  const found = /^([-+])(\d{1,2}):(\d\d)$/.exec(zone);
  if (found === null) throw new OraError(1882, 'timezone region not found');
  return (found[1] === '-' ? -1 : 1) * (Number(found[2]) * 60 + Number(found[3]));
}

const date: ColumnType = { kind: 'DATE' };
const zonedStamp: ColumnType = { kind: 'TIMESTAMP WITH TIME ZONE' };

/** Words that are values without parentheses. */
export function findPseudoColumn(
  name: string,
): { type: ColumnType; read(context: EvaluationContext): SqlValue } | undefined {
  const found: Record<string, { type: ColumnType; read(context: EvaluationContext): SqlValue }> = {
    SYSDATE: { type: date, read: (context) => new SqlDate(Math.trunc(context.now().milliseconds / 1000)) },
    SYSTIMESTAMP: { type: zonedStamp, read: stampNow },
    CURRENT_TIMESTAMP: {
      type: zonedStamp,
      read: (context) => atOffset(stampNow(context), context.sessionOffsetMinutes),
    },
    USER: { type: { kind: 'VARCHAR2', size: 128 }, read: (context) => context.user },
    DBTIMEZONE: {
      type: { kind: 'VARCHAR2', size: 6 },
      read: (context) => offsetText(context.databaseOffsetMinutes),
    },
    SESSIONTIMEZONE: {
      type: { kind: 'VARCHAR2', size: 75 },
      read: (context) => offsetText(context.sessionOffsetMinutes),
    },
  };
  return Object.hasOwn(found, name) ? found[name] : undefined;
}

function stampNow(context: EvaluationContext): SqlTimestamp {
  const { milliseconds, offsetMinutes } = context.now();
  return new SqlTimestamp(Math.trunc(milliseconds / 1000), (milliseconds % 1000) * 1e6, offsetMinutes);
}
