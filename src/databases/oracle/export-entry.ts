import { ClonaError } from '../../errors.ts';
import { judgeJobLog } from '../../proof/job-log.ts';
import type { Backup, Catalog } from '../../recovery/catalog.ts';
import { readCoverage } from '../../recovery/coverage.ts';
import { readLineage, tracePath } from '../../recovery/lineage.ts';
import { toPosition, type Position } from '../../recovery/position.ts';
import { positionAt } from '../../recovery/resolve-time.ts';
import { readDumpNames } from './import/dump-set.ts';

export interface ExportFacts {
  /** The whole text of the log of expdp or exp. */
  log: string;
  /** When it ended: its log's own time, as the file system has it. */
  finishedMs: number;
  /** Names what the log does not: dump files of exp, the folder of a DIRECTORY. */
  dumpFiles: readonly string[];
  label: string | undefined;
}

export interface ExportEntry {
  backup: Backup;
  dumpFiles: string[];
  /** Half of grade 2; the other half is a complete dump set. */
  logIsOk: boolean;
  warnings: string[];
}

/**
 * An export as an entry of the catalog. Judged by its log, never by its file's name or date: one that did not end well is refused
 * with `jobLogFailed`. Its position is FLASHBACK_SCN where it was given one; else the rows may be of different moments, and the
 * position is only where the log stood when it ended (`consistent: false`, R15). Grade 2 needs every dump file: see the caller.
 */
export function describeExport(
  catalog: Catalog,
  { log, finishedMs, dumpFiles, label }: ExportFacts,
): ExportEntry {
  const { kind, verdict, errors, closing } = judgeJobLog(log);
  if (kind !== 'expdp' && kind !== 'exp') {
    throw new ClonaError(
      'jobLogUnknown',
      `this is ${kind === null ? 'no log of an export' : `a log of ${kind}`}`,
      {
        hint: 'give the log of expdp or exp',
      },
    );
  }
  if (verdict === 'failed' || verdict === 'incomplete') {
    throw new ClonaError('jobLogFailed', `the export is ${verdict}: it is no archive`, {
      hint: 'clona prove --job-log says why, line by line',
      details: { verdict, errors, closing },
    });
  }
  const scn = findScn(log);
  const position = scn ?? endAt(catalog, finishedMs);
  if (position === null) {
    throw new ClonaError('archiveGap', 'where the export stands in the log cannot be told', {
      hint: 'run clona catalog first, or export with FLASHBACK_SCN',
    });
  }
  const files = [...new Set([...readDumpNames(log), ...dumpFiles])];
  const finishedAt = new Date(finishedMs).toISOString();
  const job = /"([^"]+)"\."([^"]+)"/.exec(log)?.[2] ?? kind;
  const folder = files[0]?.replace(/[\\/][^\\/]*$/, '') ?? null;
  const backup: Backup = {
    label: label ?? `${job}@${finishedAt.slice(0, 19).replaceAll(/[-:]/g, '')}`,
    incarnation: catalog.currentIncarnation,
    kind: 'export',
    start: position,
    consistentFrom: position,
    startedAt: null,
    finishedAt,
    device: folder,
    state: 'available',
    ownLog: false,
    grade: 0,
    pinned: false,
    bytes: null,
    ...(scn === null ? { consistent: false } : {}),
  };
  return { backup, dumpFiles: files, logIsOk: verdict === 'ok', warnings: warnOf(verdict, scn, files) };
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `… successfully completed at Thu May 1 08:05:59 2025 elapsed …`: wall clock of the server; null: not told, or not in English. */
export function readClosingTime(log: string): string | null {
  const end = log.slice(-4000);
  const [, month = '', day = '', time = '', year = ''] =
    [...end.matchAll(/\b\w{3} (\w{3}) +(\d{1,2}) (\d{2}:\d{2}:\d{2}) (\d{4})\b/g)].at(-1) ?? [];
  const number = months.indexOf(month) + 1;
  return number === 0 ? null : `${year}-${String(number).padStart(2, '0')}-${day.padStart(2, '0')}T${time}`;
}

function warnOf(verdict: string, scn: Position | null, files: readonly string[]): string[] {
  return [
    ...(verdict === 'warning' ? ['its log has something to look at: clona prove --job-log'] : []),
    ...(scn === null ? ['it was made without FLASHBACK_SCN: its rows may be of different moments'] : []),
    ...(files.length === 0 ? ['its log names no dump file: give them with --dump'] : []),
  ];
}

/** As the start line repeats what was asked for; FLASHBACK_TIME is resolved by the server and not told. */
function findScn(log: string): Position | null {
  const text = /\bflashback_scn="?(\d{1,20})\b/i.exec(log)?.[1];
  return text === undefined ? null : toPosition(text);
}

function endAt(catalog: Catalog, finishedMs: number): Position | null {
  const path = tracePath(readLineage(catalog), catalog.currentIncarnation);
  return positionAt(readCoverage(catalog, path, 'database'), finishedMs);
}
