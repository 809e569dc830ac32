import type { Instance } from '../instance/instance.ts';

/** What goes wrong in Data Pump on order. */
export interface PumpFaults {
  /** A table whose rows fail, with the codes behind ORA-31693. */
  failTable?: { table: string; errors: string[] };
  /** The job dies before this table: `stopped due to fatal error`. */
  dieBefore?: string;
  /** Nothing is written after this many lines: the machine went down. */
  cutLogAfter?: number;
  /** The job never ends until it is stopped. */
  hang?: boolean;
  /** With `hang`: the statement is suspended for want of room. */
  waitsForRoom?: string;
  /** Constraints arrive disabled: their data was bad. */
  breakConstraints?: boolean;
  /** Rows that silently do not arrive. */
  loseRows?: { table: string; rows: number };
}

export interface PumpJob {
  name: string;
  owner: string;
  operation: 'IMPORT' | 'EXPORT';
  state: 'DEFINING' | 'EXECUTING' | 'COMPLETED' | 'STOPPED' | 'NOT RUNNING';
  directory: string;
  dumpFiles: string[];
  logFile: string | null;
  schemas: string[];
  remapSchema: Map<string, string>;
  remapTablespace: Map<string, string>;
  excluded: string[];
  encryptionPassword: string | null;
  parameters: Map<string, string>;
  degree: number;
  errors: number;
  /** Questions answered with EXECUTING before the end is told. */
  polls: number;
  /** What GET_STATUS says of the last refusal. */
  lastErrors: string[];
  /** The command line, as the log repeats it. */
  request: string;
}

export interface Pump {
  directories: Map<string, string>;
  faults: PumpFaults;
  jobs: Map<string, PumpJob>;
  handles: Map<number, PumpJob>;
}

const pumps = new WeakMap<Instance, Pump>();

/** The Data Pump of an instance, with its directories and its faults. */
export function pumpOf(instance: Instance): Pump {
  const known = pumps.get(instance);
  if (known !== undefined) return known;
  const pump: Pump = {
    directories: new Map(),
    faults: {},
    jobs: new Map(),
    handles: new Map(),
  };
  pumps.set(instance, pump);
  return pump;
}

export function newJob(name: string, owner: string, operation: PumpJob['operation']): PumpJob {
  return {
    name,
    owner,
    operation,
    state: 'DEFINING',
    directory: '',
    dumpFiles: [],
    logFile: null,
    schemas: [],
    remapSchema: new Map(),
    remapTablespace: new Map(),
    excluded: [],
    encryptionPassword: null,
    parameters: new Map(),
    degree: 1,
    errors: 0,
    polls: 0,
    lastErrors: [],
    request: '',
  };
}
