import { OraError } from '../../wire/values.ts';
import { switchLog } from './checkpoint.ts';
import { mounted, nextScn, opened, saveControl, writeOnlineLog, type Database } from './database.ts';
import type { RedoThread } from './types.ts';

function findThread(database: Database, thread: number): RedoThread {
  const found = mounted(database).threads.findLast((one) => one.thread === thread);
  if (found === undefined) throw new OraError(1612, `instance ${thread} (thread ${thread}) is not there`);
  return found;
}

/** ALTER DATABASE DISABLE THREAD: its log is archived and closed; from there on recovery does without it. */
export function disableThread(database: Database, thread: number): void {
  opened(database);
  const known = findThread(database, thread);
  if (known.disabledFrom !== null)
    throw new OraError(1611, `thread number ${thread} is invalid - it is disabled`);
  if (thread === database.thread)
    throw new OraError(1615, `instance (thread ${thread}) is mounted - cannot disable`);
  switchLog(database, thread);
  const group = mounted(database).groups.find((one) => one.thread === thread && one.status === 'CURRENT')!;
  Object.assign(group, {
    status: 'INACTIVE',
    archived: true,
    nextScn: group.firstScn,
    nextAt: group.firstAt,
  });
  known.disabledFrom = group.firstScn;
  saveControl(database);
}

/** ALTER DATABASE ENABLE [PUBLIC] THREAD. */
export function enableThread(database: Database, thread: number): void {
  opened(database);
  const known = findThread(database, thread);
  if (known.disabledFrom === null)
    throw new OraError(1613, `instance ${thread} (thread ${thread}) is enabled already`);
  const control = mounted(database);
  const scn = nextScn(database);
  const own = control.groups.filter((one) => one.thread === thread);
  const sequence = Math.max(...own.map((one) => one.sequence)) + 1;
  const status = 'CURRENT' as const;
  Object.assign(own[0]!, {
    status,
    sequence,
    archived: false,
    firstScn: scn,
    firstAt: database.now(),
    nextScn: null,
    nextAt: null,
  });
  opened(database).redo.set(thread, []);
  control.threads.push({ thread, enabledFrom: scn, disabledFrom: null });
  writeOnlineLog(database, thread);
  saveControl(database);
}
