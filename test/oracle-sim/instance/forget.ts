import type { Instance } from './instance.ts';
import { mounted, saveControl } from './physical/database.ts';
import { databaseOf } from './startup.ts';

/**
 * CONTROL_FILE_RECORD_KEEP_TIME is over: the control file forgets logs and backups that were finished before that time. The files
 * stay where they are.
 */
export function forgetRecords(instance: Instance, before: number): void {
  const control = mounted(databaseOf(instance));
  control.archived = control.archived.filter(({ completedAt }) => completedAt >= before);
  control.sets = control.sets.filter(({ completedAt }) => completedAt >= before);
  control.copies = control.copies.filter(({ completedAt }) => completedAt >= before);
  saveControl(databaseOf(instance));
}
