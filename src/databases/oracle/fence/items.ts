import { findWrong, setParameter, setParameters, type OracleFenceItem } from './item.ts';

/** Where the log goes: the clone's own recovery area and nowhere else; no standby, no broker. */
const shipping = { dg_broker_start: 'FALSE', fal_server: '', log_archive_duplex_dest: '' };

export const archiving: OracleFenceItem = {
  name: 'archive destinations and log shipping',
  apply: async ({ session, recoveryDir, recoveryBytes }) => {
    await session.execute(setParameter('db_recovery_file_dest_size', String(recoveryBytes), 'now'));
    await session.execute(setParameter('db_recovery_file_dest', recoveryDir, 'now'));
    // The own place first: a database without any stops at its next switch of the log.
    await session.execute(setParameter('log_archive_dest_1', 'LOCATION=USE_DB_RECOVERY_FILE_DEST', 'now'));
    const rows = await session.query(
      `SELECT DEST_ID, DESTINATION FROM V$ARCHIVE_DEST WHERE STATUS <> 'INACTIVE' AND DEST_ID BETWEEN 2 AND 31`,
    );
    for (const [id, place] of rows) {
      if (isOwn(place ?? null, recoveryDir)) continue;
      await session.execute(setParameter(`log_archive_dest_${Number(id)}`, '', 'now'));
    }
    await setParameters(session, shipping);
  },
  findHoles: async ({ session, recoveryDir }) => {
    const rows = await session.query(
      `SELECT DEST_ID, DESTINATION, TARGET FROM V$ARCHIVE_DEST WHERE STATUS NOT IN ('INACTIVE', 'DEFERRED')`,
    );
    const out = rows
      .filter(([, place = null, target]) => target === 'STANDBY' || !isOwn(place, recoveryDir))
      .map(([id, place]) => `destination ${id ?? ''} leads to ${place ?? 'nowhere that can be named'}`);
    const area = await session.query('SELECT NAME FROM V$RECOVERY_FILE_DEST');
    const foreign = area
      .filter(([name]) => name !== recoveryDir)
      .map(([name]) => `the recovery area is ${name ?? ''}`);
    return [...out, ...foreign, ...(await findWrong(session, shipping))];
  },
};

function isOwn(place: string | null, recoveryDir: string): boolean {
  if (place === 'USE_DB_RECOVERY_FILE_DEST' || place === recoveryDir) return true;
  const inside = ['/', '\\'].some((separator) => place?.startsWith(`${recoveryDir}${separator}`) === true);
  return inside && place?.includes('..') === false;
}

/** 0 stops DBMS_JOB and the Scheduler (Database Reference, JOB_QUEUE_PROCESSES), and queues are not propagated. */
const still = { job_queue_processes: '0', aq_tm_processes: '0' };

export const jobs: OracleFenceItem = {
  name: 'jobs',
  apply: async ({ session }) => {
    await setParameters(session, still);
    const running = await session.query('SELECT OWNER, JOB_NAME FROM DBA_SCHEDULER_RUNNING_JOBS');
    for (const [owner, job] of running) {
      const name = `"${owner ?? ''}"."${job ?? ''}"`;
      await session.execute('BEGIN DBMS_SCHEDULER.STOP_JOB(job_name => :name, force => TRUE); END;', {
        name,
      });
    }
  },
  findHoles: async ({ session }) => {
    const running = await session.query('SELECT OWNER, JOB_NAME FROM DBA_SCHEDULER_RUNNING_JOBS');
    return [
      ...(await findWrong(session, still)),
      ...running.map(([owner, job]) => `the job ${owner ?? ''}.${job ?? ''} is running`),
    ];
  },
};

/**
 * With OPEN_LINKS 0 every use of a database link fails (ORA-02020), private ones of other users and GLOBAL_NAMES included,
 * and the definitions stay as production has them, so that the schema's fingerprint does too. Static: read at a start.
 */
const noLinks = { open_links: '0', open_links_per_instance: '0' };

export const links: OracleFenceItem = {
  name: 'database links',
  apply: async ({ session }) => setParameters(session, noLinks, 'restart'),
  findHoles: async ({ session }) => {
    const wrong = await findWrong(session, noLinks);
    if (wrong.length === 0) return [];
    const rows = await session.query('SELECT OWNER, DB_LINK FROM DBA_DB_LINKS ORDER BY OWNER, DB_LINK');
    return rows.map(
      ([owner, name]) => `${owner ?? ''}.${name ?? ''} can be used: ${wrong.join(', ')} until a restart`,
    );
  },
};

/** What may leave through UTL_SMTP, UTL_HTTP, UTL_TCP and UTL_MAIL. To resolve a name sends nothing. */
const aces = `SELECT HOST, LOWER_PORT, UPPER_PORT, PRINCIPAL, PRIVILEGE FROM DBA_HOST_ACES
  WHERE GRANT_TYPE = 'GRANT' AND UPPER(PRIVILEGE) <> 'RESOLVE' ORDER BY HOST, PRINCIPAL, PRIVILEGE`;

const mailServer = { smtp_out_server: '' };

export const mail: OracleFenceItem = {
  name: 'outgoing mail and network access',
  apply: async ({ session }) => {
    await setParameters(session, mailServer);
    for (const [host = null, lower, upper, principal = null, privilege = null] of await session.query(aces)) {
      const binds = { host, lower: numberOrNull(lower), upper: numberOrNull(upper), principal, privilege };
      await session.execute(removeAce, binds);
    }
  },
  findHoles: async ({ session }) => {
    const open = (await session.query(aces)).map(
      ([host, , , principal, privilege]) =>
        `${principal ?? ''} may ${(privilege ?? '').toLowerCase()} to ${host ?? ''}`,
    );
    return [...(await findWrong(session, mailServer)), ...open];
  },
};

/** Database PL/SQL Packages and Types Reference, DBMS_NETWORK_ACL_ADMIN.REMOVE_HOST_ACE. */
const removeAce = `BEGIN
  DBMS_NETWORK_ACL_ADMIN.REMOVE_HOST_ACE(host => :host, lower_port => :lower, upper_port => :upper,
    ace => XS$ACE_TYPE(privilege_list => XS$NAME_LIST(:privilege), principal_name => :principal,
      principal_type => XS_ACL.PTYPE_DB), remove_empty_acl => TRUE);
  COMMIT;
END;`;

function numberOrNull(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text);
}

/** A clone that registers with a listener of production's cluster would be given production's clients. */
const alone = { remote_listener: '', listener_networks: '', enable_goldengate_replication: 'FALSE' };

export const services: OracleFenceItem = {
  name: 'services and replication',
  apply: async ({ session }) => setParameters(session, alone),
  findHoles: async ({ session }) => findWrong(session, alone),
};
