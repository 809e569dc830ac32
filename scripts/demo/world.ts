import type { OrdersCompared, Writer } from '../../examples/erp/order-loop.ts';
import type { Site } from '../../src/site/site.ts';

/** Where the story is played: a site whose LIVE is there, and people at work in it. Disposing takes LIVE away. */
export interface DemoWorld extends AsyncDisposable {
  site: Site;
  rows: number;
  /** Of the program on LIVE. */
  readVersion: () => Promise<string>;
  people: People;
  /**
   * Makes production and everything clona knows of it go, then brings the database back with commands that are given the archive
   * alone, as a stranger would on the day after. Once, at the end.
   */
  bringBack: (disaster: Disaster) => Promise<DisasterTold>;
}

/** Who works in LIVE's database beside clona. */
export interface People {
  startWriter: (journal: string) => Promise<Writer>;
  compareOrders: (journal: string) => Promise<OrdersCompared>;
  /** What customers do and kit 2.2 does not expect. */
  sendReferenceTwice: () => Promise<void>;
  /** Somebody changes LIVE's schema by hand. */
  changeSchema: (signal: AbortSignal) => Promise<void>;
  /** A position of the log that lies behind all that is confirmed. */
  readLogEnd: (signal: AbortSignal) => Promise<string>;
}

export interface Disaster {
  /** Orders known to be in the archive when the disaster comes: numbers, one a line. */
  journal: string;
  folder: string;
  signal: AbortSignal;
}

export interface DisasterTold {
  ordersArchived: number;
  ordersRestored: number;
  seconds: number;
}

/** `scripts/demo/oracle/world.ts`: only a checkout has it. */
export interface OracleWorlds {
  openOracleWorld: (siteFolder: string, hostFolder: string, signal: AbortSignal) => Promise<DemoWorld>;
}

export function oracleWorldFile(): URL {
  return new URL('./oracle/world.ts', import.meta.url);
}
