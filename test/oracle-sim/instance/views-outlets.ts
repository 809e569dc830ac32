import { outletsOf } from './outlets.ts';
import type { Rows } from './view-rows.ts';

/** What leads out of the instance, as its dictionary shows it. */
export const outletViews: Record<string, Rows> = {
  DBA_SCHEDULER_JOBS: (instance) =>
    outletsOf(instance).jobs.map(({ owner, name, enabled, running }) => ({
      OWNER: owner,
      JOB_NAME: name,
      JOB_TYPE: 'STORED_PROCEDURE',
      ENABLED: enabled ? 'TRUE' : 'FALSE',
      STATE: running ? 'RUNNING' : enabled ? 'SCHEDULED' : 'DISABLED',
    })),
  DBA_SCHEDULER_RUNNING_JOBS: (instance) =>
    outletsOf(instance)
      .jobs.filter(({ running }) => running)
      .map(({ owner, name }) => ({ OWNER: owner, JOB_NAME: name, SESSION_ID: 77, RUNNING_INSTANCE: 1 })),
  DBA_JOBS: (instance) =>
    outletsOf(instance).oldJobs.map(({ job, owner, broken }) => ({
      JOB: job,
      LOG_USER: owner,
      PRIV_USER: owner,
      SCHEMA_USER: owner,
      BROKEN: broken ? 'Y' : 'N',
      WHAT: 'send;',
      INSTANCE: 0,
    })),
  DBA_HOST_ACES: (instance) =>
    outletsOf(instance).aces.map((ace, index) => ({
      HOST: ace.host,
      LOWER_PORT: ace.lowerPort,
      UPPER_PORT: ace.upperPort,
      ACE_ORDER: index + 1,
      GRANT_TYPE: 'GRANT',
      INVERTED_PRINCIPAL: 'NO',
      PRINCIPAL: ace.principal,
      PRINCIPAL_TYPE: ace.principalType,
      PRIVILEGE: ace.privilege,
    })),
  DBA_DB_LINKS: (instance) =>
    outletsOf(instance).links.map(({ owner, name, host }) => ({
      OWNER: owner,
      DB_LINK: name,
      HOST: host,
      HIDDEN: 'NO',
      VALID: 'YES',
    })),
  V$ACTIVE_SERVICES: (instance) => {
    const { uniqueName } = instance.settings;
    const own = [
      'SYS$BACKGROUND',
      'SYS$USERS',
      instance.database?.parameters.get('db_unique_name') ?? uniqueName,
    ];
    const named = (instance.database?.parameters.get('service_names') ?? '')
      .split(',')
      .map((one) => one.trim());
    const others = outletsOf(instance).services.filter(({ active }) => active);
    const names = new Set(
      [...own, ...named, ...others.map(({ name }) => name)].filter((name) => name !== ''),
    );
    return [...names].map((name, index) => ({
      SERVICE_ID: index + 1,
      NAME: name,
      NETWORK_NAME: name,
      CON_ID: 0,
    }));
  },
};
