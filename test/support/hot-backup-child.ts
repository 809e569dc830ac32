import type { DatabaseAddress } from '../../src/databases/database.ts';
import { takeHotBackup, type HotBackupPorts } from '../../src/databases/oracle/hot-backup.ts';
import { hotBackupPorts } from '../../src/databases/oracle/hot-ports.ts';
import { silent } from '../../src/progress.ts';
import { createHostGuest } from './host-guest.ts';

/** Where a hot backup stops and waits to be killed. */
export const stages = [
  'before the mark',
  'the mark is written',
  'in backup mode',
  'a file is copied',
  'all files are copied',
  'out of backup mode',
] as const;
export type Stage = (typeof stages)[number];

export interface HotBackupChild {
  address: DatabaseAddress;
  folder: string;
  copies: string;
  markFile: string;
  stage: Stage;
}

/** A process of its own that backs up, tells when it is at its stage, and goes no further. */
async function run({ address, folder, copies, markFile, stage }: HotBackupChild): Promise<void> {
  const at = async (here: Stage): Promise<void> => {
    if (here !== stage) return;
    process.send?.(here);
    await new Promise<never>(() => setInterval(() => {}, 1000)); // until it is killed
  };
  const real = hotBackupPorts({ address, guest: createHostGuest(folder), folder: copies, markFile });
  const ports: HotBackupPorts = {
    ...real,
    mark: async (mark) => {
      await at('before the mark');
      await real.mark(mark);
      if (mark?.files.some(({ copied }) => copied) !== true) await at('the mark is written');
    },
    copy: async (file, signal) => {
      const copied = await real.copy(file, signal);
      await at('a file is copied');
      return copied;
    },
    open: async () => {
      const session = await real.open();
      const { execute } = session;
      session.execute = async (sql, ...rest) => {
        if (sql.endsWith('END BACKUP')) await at('all files are copied');
        const out = await execute(sql, ...rest);
        if (sql.endsWith('BEGIN BACKUP')) await at('in backup mode');
        if (sql.endsWith('END BACKUP')) await at('out of backup mode');
        return out;
      };
      return session;
    },
  };
  await takeHotBackup(ports, {
    label: 'KILLED',
    incarnation: 1,
    device: copies,
    signal: new AbortController().signal,
    onProgress: silent,
    now: () => new Date('2026-03-01T12:00:00Z'),
  });
}

const given = process.env['CLONA_TEST_HOT_BACKUP'];
if (given !== undefined && process.send !== undefined) await run(JSON.parse(given) as HotBackupChild);
