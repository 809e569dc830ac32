import { requirePrivilege, type Session } from '../instance/session.ts';
import { mailServer, outletsOf, reach, type SchedulerJob } from '../instance/outlets.ts';
import { OraError } from '../wire/values.ts';
import type { Routine } from './run.ts';
import {
  isList,
  isRecord,
  list,
  numberOf,
  record,
  textOf,
  type Argument,
  type PlsqlValue,
} from './values.ts';

type Arguments = Parameters<Routine['run']>[0];

const text = (argument: Argument | undefined): string =>
  argument === undefined ? '' : (textOf(argument.value) ?? '');

export const outletConstants: Readonly<Record<string, PlsqlValue>> = {
  'XS_ACL.PTYPE_XS': 1n,
  'XS_ACL.PTYPE_DB': 2n,
};

/** The packages by which something leaves the database, and those by which it is stopped. */
export function outletRoutines(session: Session): Record<string, Routine> {
  return { ...jobRoutines(session), ...networkRoutines(session), ...serviceRoutines(session) };
}

/** "OWNER"."JOB", or JOB of one's own. */
function findJob({ instance, user }: Session, given: string): SchedulerJob {
  const [, owner = user.name, name = ''] =
    /^(?:"?([^".]+)"?\.)?"?([^".]+)"?$/.exec(given)?.map((part: string | undefined) => part) ?? [];
  const found = outletsOf(instance).jobs.find((job) => job.owner === owner && job.name === name);
  if (found === undefined) throw new OraError(27476, `"${owner}"."${name}" does not exist`);
  if (owner !== user.name) requirePrivilege(user, 'MANAGE SCHEDULER');
  return found;
}

function jobRoutines(session: Session): Record<string, Routine> {
  const breakJob =
    (onlyOwn: boolean) =>
    ({ JOB, BROKEN }: Arguments): null => {
      const number = numberOf(JOB!.value);
      const found = outletsOf(session.instance).oldJobs.find(({ job }) => job === number);
      if (found === undefined || (onlyOwn && found.owner !== session.user.name))
        throw new OraError(23421, `job number ${number} is not a job in the job queue`);
      found.broken = BROKEN!.value === true;
      return null;
    };
  return {
    'DBMS_SCHEDULER.STOP_JOB': {
      parameters: ['JOB_NAME', 'FORCE?', 'COMMIT_SEMANTICS?'],
      run({ JOB_NAME }) {
        const job = findJob(session, text(JOB_NAME));
        if (!job.running) throw new OraError(27366, `job "${job.owner}"."${job.name}" is not running`);
        job.running = false;
        return null;
      },
    },
    'DBMS_SCHEDULER.DISABLE': {
      parameters: ['NAME', 'FORCE?', 'COMMIT_SEMANTICS?'],
      run({ NAME }) {
        findJob(session, text(NAME)).enabled = false;
        return null;
      },
    },
    'DBMS_SCHEDULER.ENABLE': {
      parameters: ['NAME', 'COMMIT_SEMANTICS?'],
      run({ NAME }) {
        findJob(session, text(NAME)).enabled = true;
        return null;
      },
    },
    'DBMS_JOB.BROKEN': { parameters: ['JOB', 'BROKEN', 'NEXT_DATE?'], run: breakJob(true) },
    ...(session.user.name === 'SYS'
      ? { 'DBMS_IJOB.BROKEN': { parameters: ['JOB', 'BROKEN', 'NEXT_DATE?'], run: breakJob(false) } }
      : {}),
  };
}

function networkRoutines({ instance, user }: Session): Record<string, Routine> {
  return {
    XS$NAME_LIST: { parameters: ['NAME'], run: ({ NAME }) => list([NAME!.value]) },
    XS$ACE_TYPE: {
      parameters: ['PRIVILEGE_LIST', 'PRINCIPAL_NAME', 'PRINCIPAL_TYPE?'],
      // A principal is an application's unless it says otherwise.
      run: ({ PRIVILEGE_LIST, PRINCIPAL_NAME, PRINCIPAL_TYPE }) =>
        record({
          PRIVILEGES: PRIVILEGE_LIST!.value,
          PRINCIPAL: PRINCIPAL_NAME!.value,
          TYPE: PRINCIPAL_TYPE?.value ?? outletConstants['XS_ACL.PTYPE_XS']!,
        }),
    },
    'DBMS_NETWORK_ACL_ADMIN.REMOVE_HOST_ACE': {
      parameters: ['HOST', 'LOWER_PORT?', 'UPPER_PORT?', 'ACE', 'REMOVE_EMPTY_ACL?'],
      run({ HOST, LOWER_PORT, UPPER_PORT, ACE }) {
        requirePrivilege(user, 'EXECUTE ON SYS.DBMS_NETWORK_ACL_ADMIN');
        const ace = ACE!.value;
        if (!isRecord(ace)) throw new OraError(6502, 'PL/SQL: numeric or value error');
        const privileges = ace.fields.get('PRIVILEGES') ?? null;
        const named = isList(privileges) ? [...privileges.items.values()].map(textOf) : [];
        const type = ace.fields.get('TYPE') === 1n ? 'APPLICATION' : 'DATABASE';
        const port = (argument: Argument | undefined): number | null =>
          argument === undefined ? null : numberOf(argument.value);
        const outlets = outletsOf(instance);
        outlets.aces = outlets.aces.filter(
          (one) =>
            !(
              one.host === text(HOST) &&
              one.lowerPort === port(LOWER_PORT) &&
              one.upperPort === port(UPPER_PORT) &&
              one.principal === textOf(ace.fields.get('PRINCIPAL') ?? null) &&
              one.principalType === type &&
              named.includes(one.privilege)
            ),
        );
        return null;
      },
    },
    'UTL_SMTP.OPEN_CONNECTION': {
      parameters: ['HOST', 'PORT?'],
      run: ({ HOST }) => (reach(instance, 'mail', user.name, text(HOST), 'SMTP'), null),
    },
    'UTL_MAIL.SEND': {
      parameters: ['SENDER', 'RECIPIENTS', 'SUBJECT?', 'MESSAGE?'],
      run() {
        const host = mailServer(instance);
        if (host === '')
          throw new OraError(6502, 'PL/SQL: numeric or value error (SMTP_OUT_SERVER is not set)');
        reach(instance, 'mail', user.name, host.split(':')[0]!, 'SMTP');
        return null;
      },
    },
    'UTL_HTTP.REQUEST': {
      parameters: ['URL'],
      run({ URL: url }) {
        reach(instance, 'http', user.name, new URL(text(url)).hostname, 'HTTP');
        return '';
      },
    },
  };
}

function serviceRoutines({ instance, user }: Session): Record<string, Routine> {
  return {
    'DBMS_SERVICE.START_SERVICE': {
      parameters: ['SERVICE_NAME', 'INSTANCE_NAME?'],
      run({ SERVICE_NAME }) {
        requirePrivilege(user, 'EXECUTE ON SYS.DBMS_SERVICE');
        const name = text(SERVICE_NAME);
        const found = outletsOf(instance).services.find((one) => one.name === name);
        if (found === undefined) throw new OraError(44304, `service ${name} does not exist`);
        if (found.active) throw new OraError(44305, `service ${name} is running`);
        found.active = true;
        return null;
      },
    },
    'DBMS_SERVICE.STOP_SERVICE': {
      parameters: ['SERVICE_NAME', 'INSTANCE_NAME?'],
      run({ SERVICE_NAME }) {
        requirePrivilege(user, 'EXECUTE ON SYS.DBMS_SERVICE');
        const name = text(SERVICE_NAME);
        const found = outletsOf(instance).services.find((one) => one.name === name);
        if (found?.active !== true) throw new OraError(44311, `service ${name} not running`);
        found.active = false;
        return null;
      },
    },
  };
}
