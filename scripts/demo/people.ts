import { compareOrders, sendReferenceTwice, startWriter } from '../../examples/erp/writer.ts';
import type { DatabaseAddress } from '../../src/databases/database.ts';
import { connect } from '../../src/databases/postgres/connect.ts';
import type { People } from './world.ts';

/** `address`: LIVE's database, as people at work reach it. */
export function workOnPostgres(address: DatabaseAddress): People {
  return {
    startWriter: async (journal) => startWriter({ address, journal, everyMs: 40 }),
    compareOrders: async (journal) => compareOrders(address, journal),
    sendReferenceTwice: async () => void (await sendReferenceTwice(address)),
    changeSchema: async (signal) => {
      await using session = await connect(address, signal);
      await session.query('ALTER TABLE erp.customer ADD COLUMN quick_fix text');
    },
    readLogEnd: async (signal) => {
      await using session = await connect(address, signal);
      const [row] = await session.query<{ position: string }>(
        "select (pg_current_wal_lsn() - '0/0')::text as position",
      );
      return row?.position ?? '0';
    },
  };
}
