import type { Given } from '../sql/fixtures.ts';
import { hostTime, type Instance } from './instance.ts';

type Rows = (instance: Instance) => Iterable<Given>;

const views: Record<string, Rows> = {
  DUAL: () => [{ DUMMY: 'X' }],
  V$VERSION: ({ settings }) => {
    const [major, release, update] = settings.version;
    const edition = settings.edition === 'EE' ? 'Enterprise Edition' : 'Standard Edition 2';
    const banner = `Oracle Database ${major}c ${edition} Release ${major}.0.0.0.0 - Production`;
    const full = `${banner}\nVersion ${major}.${release}.${update}.0.0`;
    return [{ BANNER: banner, BANNER_FULL: full, BANNER_LEGACY: banner, CON_ID: 0 }];
  },
  V$INSTANCE: (instance) => {
    const { settings, status, startedAt, restricted } = instance;
    const version = `${settings.version.join('.')}.0.0`;
    return [
      {
        INSTANCE_NUMBER: 1,
        INSTANCE_NAME: settings.instanceName,
        HOST_NAME: settings.hostName,
        VERSION: `${settings.version[0]}.0.0.0.0`,
        VERSION_LEGACY: `${settings.version[0]}.0.0.0.0`,
        VERSION_FULL: version,
        STARTUP_TIME: hostTime(instance, startedAt),
        STATUS: status,
        PARALLEL: 'NO',
        'THREAD#': 1,
        ARCHIVER: 'STARTED',
        LOGINS: restricted ? 'RESTRICTED' : 'ALLOWED',
        SHUTDOWN_PENDING: 'NO',
        DATABASE_STATUS: 'ACTIVE',
        INSTANCE_ROLE: 'PRIMARY_INSTANCE',
        ACTIVE_STATE: 'NORMAL',
        BLOCKED: 'NO',
        CON_ID: 0,
        INSTANCE_MODE: 'REGULAR',
        EDITION: settings.edition,
        DATABASE_TYPE: 'SINGLE',
      },
    ];
  },
};

/** What the instance shows in a view; nothing where it keeps no state of that kind. */
export function viewRows(instance: Instance, name: string): Iterable<Given> {
  return Object.hasOwn(views, name) ? views[name]!(instance) : [];
}
