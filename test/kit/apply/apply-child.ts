import { appendFileSync } from 'node:fs';
import { applyKit } from '../../../src/kit/apply/apply.ts';
import { openKit } from '../../../src/kit/fetch.ts';
import type { DatabaseAddress } from '../../../src/databases/database.ts';
import { createHostGuest } from '../../support/host-guest.ts';

/** A process of its own that installs a kit, to be killed: its orders are one JSON argument, its records go to a file. */
interface Order {
  directory: string;
  hash: string;
  systemDisk: string;
  database: DatabaseAddress;
  journal: string;
}

const order = JSON.parse(process.argv[2] ?? '') as Order; // the test wrote it
const signal = new AbortController().signal;
await applyKit({
  kit: await openKit(order.directory, order.hash, signal),
  guest: createHostGuest(order.systemDisk),
  place: { systemDisk: order.systemDisk, dataDisk: order.systemDisk },
  database: order.database,
  onRecord: async (record) => appendFileSync(order.journal, `${JSON.stringify(record)}\n`),
  signal,
});
