import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { DatabaseAddress } from '../../../src/databases/database.ts';
import type { GuestAddress } from '../../../src/guest/guest.ts';
import { loadSite } from '../../../src/site/load.ts';
import type { Site } from '../../../src/site/site.ts';
import type { SimulatedVsphere } from '../vsphere/simulated-vsphere.ts';

/** What a site file says of Oracle and of the vCenter beside what the sample ERP wants. */
export interface OracleSiteFacts {
  guest: GuestAddress;
  /** ORACLE_HOME. */
  home: string;
  address: DatabaseAddress;
  live: string;
}

/** `clona.yaml` in `folder`, and the secrets it names. */
export async function writeOracleSite(
  folder: string,
  { server, user, password, guests }: SimulatedVsphere,
  { guest, home, address, live }: OracleSiteFacts,
): Promise<Site> {
  const secret = async (name: string, value: string): Promise<string> => {
    await writeFile(join(folder, name), `${value}\n`, { mode: 0o600 });
    return `file:${name}`;
  };
  const vsphere = {
    server,
    user,
    password: await secret('vcenter-password', password),
    allowUnverifiedTls: true,
    datacenter: 'DC0',
    cluster: 'DC0_H0',
    datastore: 'LocalDS_0',
    isolatedPortGroup: 'VM Network',
    systemDisk: guests.systemDisk,
    dataDisk: guests.dataDisk,
  };
  const count = (name: string, sql: string): { name: string; sql: string } => ({ name, sql });
  const site = {
    name: 'erp',
    machines: { platform: 'vsphere', live: { name: live }, vsphere },
    guest: {
      user: guest.user,
      privateKey: `file:${guest.privateKeyFile}`,
      hostKey: guest.hostKey,
      port: guests.port,
    },
    database: {
      engine: 'oracle',
      host: address.host,
      port: address.port,
      name: address.database,
      user: address.user,
      password: await secret('oracle-password', address.password ?? ''),
      oracle: {
        home,
        instance: 'ERP',
        timeZone: 'UTC',
        schemas: ['ERP'],
        staging: { name: 'CLONA', recoverySize: '1GB' },
      },
      businessCounts: [
        count('orders', 'SELECT COUNT(*) AS orders, SUM(net_cents) AS net FROM erp.sales_order'),
        count('ledger', 'SELECT COUNT(*) AS lines, SUM(debit_cents) AS debit FROM erp.journal_line'),
        count('stock', 'SELECT COUNT(*) AS items, SUM(stock) AS quantity FROM erp.item'),
      ],
    },
    archive: {
      location: 'archive',
      mirror: 'archive-mirror',
      acceptSharedDisk: 'a sample that lives on one disk',
      minimumGrade: 5,
      maximumAge: '26h',
      retention: { redundancy: 2, windowDays: 7 },
    },
    staging: {
      name: 'erp-staging',
      timeToLive: '7d',
      fence: [
        {
          name: 'mail',
          sql: "UPDATE erp.mail_outbox SET state = 'held' WHERE state = 'waiting'",
          check:
            "SELECT CASE WHEN COUNT(*) = 0 THEN 'true' ELSE 'false' END FROM erp.mail_outbox WHERE state = 'waiting'",
        },
      ],
      masking: ['masking/people.sql'],
    },
    kit: { source: 'kits/2.1' },
    smoke: { directory: 'smoke', timeout: '5m' },
    departments: [
      { name: 'accounting', keyUsers: ['amra'], delegates: ['boris'], checks: ['the ledger balances'] },
      { name: 'warehouse', keyUsers: ['dino'], checks: ['take an item from stock'] },
      { name: 'sales', keyUsers: ['sanja'], checks: ['write an order and find it again'] },
    ],
    dba: { name: 'dba', checklist: ['the output of every step of the kit was read'] },
    promotion: { drainTimeout: '1m' },
  };
  const file = join(folder, 'clona.yaml');
  await writeFile(file, stringify(site));
  return loadSite(file);
}
