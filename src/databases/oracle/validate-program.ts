import type { PlanAnswer } from '../../recovery/answer.ts';
import type { Catalog } from '../../recovery/catalog.ts';
import { fromTag, lines, writeUntil, type RestoreUntil } from './restore-program.ts';
import { quoteRman } from './rman-text.ts';

/** What RMAN itself would take, and whether it can be read: grades 1 and 2 before anything is restored. */
export function writeValidateProgram(
  until: RestoreUntil,
  archiveDirs: readonly string[],
  chosen?: { plan: PlanAnswer; catalog: Catalog },
): string {
  // RMAN takes an older backup where it cannot read this one, and says that all is well: the tag holds it to this one.
  const tag = chosen === undefined ? '' : fromTag(chosen.plan, chosen.catalog);
  return lines([
    ...archiveDirs.map((folder) => `CATALOG START WITH ${quoteRman(folder, 'archiveDirs')} NOPROMPT;`),
    'RUN {',
    '  ALLOCATE CHANNEL c1 DEVICE TYPE DISK;',
    `  ${writeUntil(until)}`,
    `  RESTORE DATABASE${tag} PREVIEW;`,
    `  RESTORE DATABASE${tag} VALIDATE CHECK LOGICAL;`,
    '}',
  ]);
}

/** The newest backup of the control file: without one a restore cannot begin. It is newer than the target, so nothing is SET. */
export function writeValidateControlFile(): string {
  return lines(['RESTORE CONTROLFILE VALIDATE;']);
}

/** Every log that the control file knows, from whichever place it can be read. */
export function writeValidateLogs(): string {
  return lines([
    'RUN {',
    '  ALLOCATE CHANNEL c1 DEVICE TYPE DISK;',
    '  RESTORE ARCHIVELOG ALL VALIDATE;',
    '}',
  ]);
}
