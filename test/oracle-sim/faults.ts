import { OraError } from './wire/values.ts';
import type { WireFaults } from './wire/session.ts';

/** Raised instead of running a statement that matches. */
export interface StatementFault {
  statement: RegExp;
  code: number;
  text: string;
  /** How often; then it is over. Default: always. */
  times?: number;
}

/** What goes wrong on order, and what was seen on the way. */
export interface Faults {
  /** The call of a session, counted from 1 after its logon, at which its connection breaks. */
  dropAtCall: number | null;
  /** Every answer waits so long; a cancel or a timeout of the client ends the wait. */
  slowMs: number;
  failing: StatementFault[];
}

export interface Watch {
  /** Every statement that was parsed, in order. */
  statements: string[];
  /** Calls over the wire after logons. */
  roundTrips: number;
}

export function createFaults(): {
  faults: Faults;
  watch: Watch;
  wire: WireFaults;
  beforeStatement: (sql: string) => void;
} {
  const faults: Faults = { dropAtCall: null, slowMs: 0, failing: [] };
  const watch: Watch = { statements: [], roundTrips: 0 };
  return {
    faults,
    watch,
    wire: {
      beforeCall: (call) => {
        watch.roundTrips += 1;
        return { drop: faults.dropAtCall === call, waitMs: faults.slowMs };
      },
    },
    beforeStatement(sql) {
      watch.statements.push(sql);
      const found = faults.failing.find(
        ({ statement, times = Infinity }) => times > 0 && statement.test(sql),
      );
      if (found === undefined) return;
      found.times = (found.times ?? Infinity) - 1;
      throw new OraError(found.code, found.text);
    },
  };
}
