import type { User } from './accounts.ts';

export interface InstanceSettings {
  serviceName: string;
  databaseName: string;
  uniqueName: string;
  instanceName: string;
  hostName: string;
  dbid: bigint;
  version: readonly [number, number, number];
  edition: 'EE' | 'SE2';
  /** DBTIMEZONE, and the zone of the host, in which DATE columns of the control file are written. */
  databaseOffsetMinutes: number;
  hostOffsetMinutes: number;
  status: InstanceStatus;
  /** Milliseconds of UTC. */
  now(): number;
}

/** DOWN: not started; STARTED: no control file yet (NOMOUNT); as V$INSTANCE.STATUS says it. */
export type InstanceStatus = 'DOWN' | 'STARTED' | 'MOUNTED' | 'OPEN';

export interface Instance {
  settings: InstanceSettings;
  users: User[];
  status: InstanceStatus;
  restricted: boolean;
  startedAt: number;
}

const defaults: InstanceSettings = {
  serviceName: 'ERP',
  databaseName: 'ERP',
  uniqueName: 'ERP',
  instanceName: 'ERP',
  hostName: 'erpdb',
  dbid: 1_789_012_345n,
  version: [19, 21, 0],
  edition: 'EE',
  databaseOffsetMinutes: 0,
  hostOffsetMinutes: 0,
  status: 'OPEN',
  now: () => Date.now(),
};

export function createInstance(given: Partial<InstanceSettings>, users: User[]): Instance {
  const settings = { ...defaults, ...given };
  return { settings, users, status: settings.status, restricted: false, startedAt: settings.now() };
}

/** Wall-clock text of the host, as DATE columns are filled. */
export function hostTime({ settings }: Instance, milliseconds: number): string {
  const shifted = new Date(milliseconds + settings.hostOffsetMinutes * 60_000);
  return shifted.toISOString().slice(0, 19).replace('T', ' ');
}
