import { readdir, readFile } from 'node:fs/promises';
import { Client } from 'pg';

/** Where the ERP's database is: a DatabaseAddress of clona fits. */
export interface ErpAddress {
  host: string;
  port: number;
  database: string;
  user: string;
  password?: string | undefined;
}

const folder = new URL('sql/', import.meta.url);

/** Fills an empty database with the sample ERP, about 300,000 rows. */
export async function loadErp(address: ErpAddress): Promise<{ rows: number; seconds: number }> {
  const startedAt = performance.now();
  const client = new Client(address);
  await client.connect();
  try {
    for (const file of (await readdir(folder)).sort())
      await client.query(await readFile(new URL(file, folder), 'utf8'));
    const { rows } = await client.query<{ rows: string }>(
      "SELECT sum(reltuples)::bigint AS rows FROM pg_class WHERE relkind = 'r' AND relnamespace = 'erp'::regnamespace AND reltuples > 0",
    );
    return { rows: Number(rows[0]?.rows ?? 0), seconds: (performance.now() - startedAt) / 1000 };
  } finally {
    await client.end();
  }
}
