import { ClonaError } from '../../errors.ts';

export interface BackupProgramOptions {
  /** managed: the database stays open; cold: a clean shutdown, copied while mounted; `reopenProgram` must follow in any case. */
  kind: 'managed' | 'cold';
  /** null: a full backup outside any incremental strategy. */
  level: 0 | 1 | null;
  /** Names the backup in RMAN: letters, digits, _, up to 30. Default: RMAN's own, TAGyyyymmddThhmmss. */
  tag?: string | undefined;
  /** More than one is a feature of Enterprise Edition. */
  channels: number;
  /** BASIC needs no licence; anything else (Advanced Compression) is not offered. */
  compressed: boolean;
}

/**
 * A backup by RMAN, for `rman target / nocatalog`. The archived logs of the same time go with it, so that it carries its own
 * log (R7), and a control file that knows its pieces comes last. CHECK LOGICAL reads more, and finds more.
 */
export function writeBackupProgram({ kind, level, tag, channels, compressed }: BackupProgramOptions): string {
  if (tag !== undefined && !/^[A-Za-z]\w{0,29}$/.test(tag)) {
    throw new ClonaError('usage', `"${tag}" is no tag for RMAN`, { hint: 'up to 30 letters, digits and _' });
  }
  const named = tag === undefined ? '' : ` TAG '${tag.toUpperCase()}'`;
  const sets = compressed ? 'AS COMPRESSED BACKUPSET ' : '';
  const incremental = level === null ? '' : `INCREMENTAL LEVEL ${level} `;
  const names = Array.from({ length: Math.max(1, Math.trunc(channels)) }, (_, index) => `c${index + 1}`);
  const logs = kind === 'managed' ? ` PLUS ARCHIVELOG${named}` : '';
  const lines = [
    ...(kind === 'cold' ? ['SHUTDOWN IMMEDIATE;', 'STARTUP MOUNT;'] : []),
    'RUN {',
    ...names.map((name) => `  ALLOCATE CHANNEL ${name} DEVICE TYPE DISK;`),
    `  BACKUP ${sets}${incremental}CHECK LOGICAL DATABASE${named}${logs};`,
    `  BACKUP CURRENT CONTROLFILE${named};`,
    '}',
  ];
  return `${lines.join('\n')}\n`;
}

/** After a cold backup, whatever came of it: a command file of RMAN ends at its first error, so this is one of its own. */
export const reopenProgram = 'ALTER DATABASE OPEN;\n';
