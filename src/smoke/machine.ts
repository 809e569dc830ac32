import type { DatabaseAddress } from '../databases/database.ts';
import type { GuestAddress } from '../guest/guest.ts';

/** The machine under test, as smoke tests reach it. Plain data: it travels to the process that runs them. */
export interface SmokeMachine {
  name: string;
  /** On `live` nothing is written: sessions are read-only. */
  role: 'live' | 'staging';
  database: DatabaseAddress;
  /** Null: no test may use ssh, http or tcp. */
  guest: GuestAddress | null;
  /** Paths as the guest sees them. */
  systemDisk: string;
  dataDisk: string;
  /** What `http('/path')` stands for, as seen from inside the machine, like http://127.0.0.1:8080. */
  httpBase: string | null;
}
