import type { Instance } from './instance.ts';
import { OraError } from '../wire/values.ts';

export interface SchedulerJob {
  owner: string;
  name: string;
  enabled: boolean;
  running: boolean;
}

export interface OldJob {
  job: number;
  owner: string;
  broken: boolean;
}

export interface HostAce {
  host: string;
  lowerPort: number | null;
  upperPort: number | null;
  principal: string;
  principalType: 'DATABASE' | 'APPLICATION';
  privilege: string;
}

export interface DatabaseLink {
  owner: string;
  name: string;
  host: string;
}

/** Something that left the machine. */
export interface Sent {
  by: 'job' | 'link' | 'mail' | 'http' | 'redo' | 'service';
  to: string;
}

export interface Outlets {
  jobs: SchedulerJob[];
  oldJobs: OldJob[];
  aces: HostAce[];
  links: DatabaseLink[];
  /** Beside the database's own. */
  services: { name: string; active: boolean }[];
  sent: Sent[];
}

const known = new WeakMap<Instance, Outlets>();

/** What can lead out of an instance, and what did: kept beside the files, as production's dictionary has it. */
export function outletsOf(instance: Instance): Outlets {
  const found = known.get(instance) ?? { jobs: [], oldJobs: [], aces: [], links: [], services: [], sent: [] };
  known.set(instance, found);
  return found;
}

function parameterOf({ database }: Instance, name: string, otherwise: string): string {
  return database?.parameters.get(name) ?? otherwise;
}

/** What the job coordinator would start now: nothing without job processes, and nothing in a restricted session. */
export function runDueJobs(instance: Instance): void {
  const { jobs, oldJobs, sent } = outletsOf(instance);
  if (instance.status !== 'OPEN' || instance.restricted) return;
  if (Number(parameterOf(instance, 'job_queue_processes', '4000')) === 0) return;
  for (const { owner, name, enabled } of jobs) if (enabled) sent.push({ by: 'job', to: `${owner}.${name}` });
  for (const { owner, job, broken } of oldJobs) if (!broken) sent.push({ by: 'job', to: `${owner}.${job}` });
}

/** A use of a link: the far end is reached, or the session may have no link at all. */
export function openLink(instance: Instance, user: string, name: string, at: number): never {
  const { links, sent } = outletsOf(instance);
  const link = links.find((one) => one.name === name && (one.owner === user || one.owner === 'PUBLIC'));
  if (link === undefined)
    throw new OraError(2019, 'connection description for remote database not found', at);
  if (parameterOf(instance, 'open_links', '4') === '0')
    throw new OraError(2020, 'too many database links in use', at);
  sent.push({ by: 'link', to: link.host });
  throw new OraError(12541, 'TNS:no listener (the far end was reached: it is not simulated)', at);
}

/** UTL_SMTP, UTL_MAIL, UTL_HTTP: the network's access control list decides. */
export function reach(
  instance: Instance,
  by: 'mail' | 'http',
  user: string,
  host: string,
  privilege: string,
): void {
  const { aces, sent } = outletsOf(instance);
  const may = aces.some(
    (ace) =>
      (ace.host === '*' || ace.host === host) &&
      (ace.principal === user || ace.principal === 'PUBLIC') &&
      [privilege, 'CONNECT'].includes(ace.privilege),
  );
  if (!may) throw new OraError(24247, 'network access denied by access control list (ACL)');
  sent.push({ by, to: host });
}

/** Where UTL_MAIL sends to; the server falls back on its own host. */
export function mailServer(instance: Instance): string {
  return parameterOf(instance, 'smtp_out_server', '');
}
