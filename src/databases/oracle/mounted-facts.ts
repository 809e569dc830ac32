import { ClonaError } from '../../errors.ts';
import { editionOf } from './restore-facts.ts';
import type { MountedFacts } from './restore-program.ts';

export interface MountedDatabase extends MountedFacts {
  openMode: string;
  /** V$DATABASE.OPEN_RESETLOGS: REQUIRED, ALLOWED, NOT ALLOWED. */
  openResetlogs: string;
  dbid: string;
  name: string;
  /** Threads that are enabled and that this instance does not write: of the other nodes of a cluster. */
  otherThreads: number[];
  /** Of the clone's software; null: it does not say. */
  edition: string | null;
  /** V$DATAFILE: number and name, as the control file has them. */
  datafiles: { file: number; name: string }[];
}

const lines = {
  incarnation: `TO_CHAR(INCARNATION#) || '|' || TO_CHAR(RESETLOGS_CHANGE#) || '|' || TO_CHAR(RESETLOGS_TIME, 'YYYY-MM-DD"T"HH24:MI:SS') || '|' || STATUS FROM V$DATABASE_INCARNATION`,
  member: 'MEMBER FROM V$LOGFILE',
  file: "TO_CHAR(FILE#) || '|' || NAME FROM V$DATAFILE",
  temp: 'TO_CHAR(FILE#) FROM V$TEMPFILE',
  tracking: 'STATUS FROM V$BLOCK_CHANGE_TRACKING',
  point: `NAME FROM V$RESTORE_POINT WHERE GUARANTEE_FLASHBACK_DATABASE = 'YES'`,
  edition: 'BANNER FROM V$VERSION',
  thread: `TO_CHAR(THREAD#) FROM V$THREAD WHERE ENABLED <> 'DISABLED'`,
  own: `TO_CHAR(THREAD#) FROM V$INSTANCE`,
  database: `FLASHBACK_ON || '|' || OPEN_MODE || '|' || TO_CHAR(DBID) || '|' || NAME || '|' || OPEN_RESETLOGS FROM V$DATABASE`,
} as const;

/** What the restored control file says, each line marked: SQL*Plus would print an SCN as 2.8147E+14 (TO_CHAR does not). */
export const mountedQueries: readonly string[] = Object.entries(lines).map(
  ([kind, rest]) => `SELECT 'clona|${kind}|' || ${rest};`,
);

export function readMountedFacts(output: string): MountedDatabase {
  const found = new Map<string, string[]>(Object.keys(lines).map((kind) => [kind, []]));
  for (const line of output.split(/\r?\n/)) {
    const match = /^clona\|(\w+)\|(.*)$/.exec(line.trim());
    if (match !== null) found.get(match[1] ?? '')?.push(match[2] ?? '');
  }
  const of = (kind: keyof typeof lines): string[] => found.get(kind) ?? [];
  const [flashback, openMode, dbid, name, openResetlogs = ''] = of('database')[0]?.split('|') ?? [];
  if (openMode === undefined || dbid === undefined || name === undefined) {
    throw new ClonaError('recoveryFailed', 'the clone does not say what its control file holds', {
      hint: 'its output is kept in the folder of the run',
      details: { output: output.slice(0, 1000) },
    });
  }
  return {
    incarnations: of('incarnation').map((text) => {
      const [key, resetlogs = '', resetlogsTime = null, status = ''] = text.split('|');
      return { key: Number(key), resetlogs, resetlogsTime, status };
    }),
    logMembers: of('member'),
    datafiles: of('file').map((text) => {
      const at = text.indexOf('|');
      return { file: Number(text.slice(0, at)), name: text.slice(at + 1) };
    }),
    tempFiles: of('temp').map(Number),
    changeTracking: of('tracking').includes('ENABLED'),
    flashback: flashback !== 'NO',
    restorePoints: of('point'),
    edition: of('edition').flatMap((banner) => editionOf(banner) ?? [])[0] ?? null,
    otherThreads: of('thread')
      .filter((thread) => thread !== of('own')[0])
      .map(Number),
    openMode,
    openResetlogs,
    dbid,
    name,
  };
}
