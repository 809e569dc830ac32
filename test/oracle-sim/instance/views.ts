import type { Given } from '../sql/fixtures.ts';
import { hostTime, type Instance } from './instance.ts';
import { knownParameters } from './parameters.ts';
import { activeState } from './quiesce.ts';
import { offsetText } from '../sql/formats.ts';
import { backupViews } from './views-backups.ts';
import { longOperationViews } from './long-operations.ts';
import { fileViews } from './views-files.ts';
import { destinationViews } from './views-destinations.ts';
import { databaseViews } from './views-database.ts';
import { outletViews } from './views-outlets.ts';
import { pluggableViews } from './pluggable.ts';
import { schemaViews } from './views-schema.ts';
import type { Rows } from './view-rows.ts';

const instanceViews: Record<string, Rows> = {
  DUAL: () => [{ DUMMY: 'X' }],
  V$VERSION: ({ settings }) => {
    const [major, release, update] = settings.version;
    const edition = settings.edition === 'EE' ? 'Enterprise Edition' : 'Standard Edition 2';
    const banner = `Oracle Database ${major}c ${edition} Release ${major}.0.0.0.0 - Production`;
    const full = `${banner}\nVersion ${major}.${release}.${update}.0.0`;
    return [{ BANNER: banner, BANNER_FULL: full, BANNER_LEGACY: banner, CON_ID: 0 }];
  },
  V$OPTION: ({ settings }) =>
    [
      'Flashback Database',
      'Parallel backup and recovery',
      'Partitioning',
      'Block Change Tracking',
      'Unused Block Compression',
      'Database resource manager',
    ].map((name) => ({
      PARAMETER: name,
      VALUE: settings.edition === 'EE' ? 'TRUE' : 'FALSE',
      CON_ID: 0,
    })),
  V$INSTANCE: (instance) => [instanceRow(instance)],
  V$PARAMETER: (instance) =>
    Array.from(knownParameters, ([name, value], index) => parameterRow(instance, name, value, index)),
  V$SESSION: (instance) =>
    Array.from(
      instance.sessions.values(),
      ({ id, serial, user, since, transaction, clientIdentifier = null }) => ({
        CLIENT_IDENTIFIER: clientIdentifier,
        SID: id,
        TADDR: transaction === null ? null : transaction.toString(16).toUpperCase().padStart(16, '0'),
        'SERIAL#': serial,
        USERNAME: user,
        STATUS: 'INACTIVE',
        SERVER: 'DEDICATED',
        SCHEMANAME: user,
        TYPE: 'USER',
        LOGON_TIME: hostTime(instance, since),
        SERVICE_NAME: instance.settings.serviceName,
        CON_ID: 0,
      }),
    ),
  V$SYSSTAT: ({ database }) => [
    {
      'STATISTIC#': 1,
      NAME: 'redo size',
      CLASS: 2,
      VALUE: database?.redoBytes ?? 0,
      STAT_ID: 1_236_385_760,
      CON_ID: 0,
    },
  ],
  V$TRANSACTION: (instance) =>
    [...instance.sessions.values()].flatMap(({ transaction }) =>
      transaction === null
        ? []
        : [{ XIDUSN: 1, XIDSLOT: transaction % 32, XIDSQN: transaction, STATUS: 'ACTIVE', CON_ID: 0 }],
    ),
  V$NLS_PARAMETERS: (instance) =>
    Object.entries(nlsOf(instance)).map(([name, value]) => ({ PARAMETER: name, VALUE: value, CON_ID: 0 })),
  NLS_DATABASE_PARAMETERS: (instance) =>
    Object.entries(nlsOf(instance)).map(([name, value]) => ({ PARAMETER: name, VALUE: value })),
  DATABASE_PROPERTIES: (instance) => [
    {
      PROPERTY_NAME: 'DBTIMEZONE',
      PROPERTY_VALUE: offsetText(instance.settings.databaseOffsetMinutes),
      DESCRIPTION: 'DB time zone',
    },
    ...Object.entries(nlsOf(instance)).map(([name, value]) => ({
      PROPERTY_NAME: name,
      PROPERTY_VALUE: value,
    })),
  ],
};

const nlsOf = ({ settings }: Instance) => ({
  NLS_CHARACTERSET: settings.characterSet,
  NLS_NCHAR_CHARACTERSET: 'AL16UTF16',
  NLS_LANGUAGE: 'AMERICAN',
  NLS_TERRITORY: 'AMERICA',
  NLS_RDBMS_VERSION: '19.0.0.0.0',
});

function instanceRow(instance: Instance): Given {
  const { settings, status, startedAt, restricted } = instance;
  const legacy = `${settings.version[0]}.0.0.0.0`;
  return {
    INSTANCE_NUMBER: 1,
    INSTANCE_NAME: settings.instanceName,
    HOST_NAME: settings.hostName,
    VERSION: legacy,
    VERSION_LEGACY: legacy,
    VERSION_FULL: `${settings.version.join('.')}.0.0`,
    STARTUP_TIME: hostTime(instance, startedAt),
    STATUS: status,
    PARALLEL:
      new Set(instance.database?.control?.threads.map(({ thread }) => thread)).size > 1 ? 'YES' : 'NO',
    'THREAD#': instance.database?.thread ?? 1,
    ARCHIVER: instance.database?.control?.logMode === 'NOARCHIVELOG' ? 'STOPPED' : 'STARTED',
    LOGINS: restricted ? 'RESTRICTED' : 'ALLOWED',
    SHUTDOWN_PENDING: 'NO',
    DATABASE_STATUS: 'ACTIVE',
    INSTANCE_ROLE: 'PRIMARY_INSTANCE',
    ACTIVE_STATE: activeState(instance),
    BLOCKED: 'NO',
    CON_ID: 0,
    INSTANCE_MODE: 'REGULAR',
    EDITION: settings.edition,
    DATABASE_TYPE: 'SINGLE',
  };
}

function parameterRow(
  { database, fromSpfile }: Instance,
  name: string,
  otherwise: string | null,
  index: number,
): Given {
  const set = database?.parameters.get(name);
  const value = name === 'spfile' && fromSpfile ? 'spfile.ora' : (set ?? otherwise);
  return {
    NUM: index,
    NAME: name,
    TYPE: 2,
    VALUE: value,
    DISPLAY_VALUE: value,
    DEFAULT_VALUE: otherwise,
    ISDEFAULT: set === undefined ? 'TRUE' : 'FALSE',
    ISSYS_MODIFIABLE: 'IMMEDIATE',
    CON_ID: 0,
  };
}

const views: Record<string, Rows> = {
  ...instanceViews,
  ...databaseViews,
  ...fileViews,
  ...destinationViews,
  ...backupViews,
  ...schemaViews,
  ...longOperationViews,
  ...pluggableViews,
  ...outletViews,
};

/** What the instance shows in a view; nothing where it keeps no state of that kind. */
export function viewRows(instance: Instance, name: string): Iterable<Given> {
  return Object.hasOwn(views, name) ? views[name]!(instance) : [];
}
