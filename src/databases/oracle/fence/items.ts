import { jobProcesses, oldJobs, schedulerJobs } from './jobs.ts';
import { findWrong, setParameters, type OracleFenceItem } from './item.ts';
import { mailServer, networkRights } from './network.ts';
import { archiving } from './archiving.ts';
import { services } from './services.ts';

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

/** A clone that registers with a listener of production's cluster would be given production's clients. */
const alone = { remote_listener: '', listener_networks: '', enable_goldengate_replication: 'FALSE' };

const listeners: OracleFenceItem = {
  name: 'listeners and replication',
  apply: async ({ session }) => setParameters(session, alone),
  findHoles: async ({ session }) => findWrong(session, alone),
};

/** The ways out that every Oracle database may have (R21). The network is the machine's part. */
export const oracleFenceItems: readonly OracleFenceItem[] = [
  archiving,
  jobProcesses,
  schedulerJobs,
  oldJobs,
  links,
  mailServer,
  networkRights,
  services,
  listeners,
];
