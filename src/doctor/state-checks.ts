import { access, constants, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir, hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { backendFolder, readLockFiles, type LockedStack } from '../machines/pulumi/lock-files.ts';
import { isDeadLock } from '../machines/pulumi/locks.ts';
import { failed, ok, skipped, warning, type Finding, type Patient } from './check.ts';

/** clona's own state: there, or creatable; and private. */
export async function controlFolder({ site }: Patient): Promise<Finding[]> {
  const { directory, url } = site.control;
  const facts = await stat(directory).catch(() => undefined);
  const writable = facts === undefined ? await nearestFolder(directory) : directory;
  try {
    await access(writable, constants.W_OK);
  } catch {
    return [
      failed(
        `control.directory: ${writable} cannot be written`,
        `give the user of clona the right to write ${writable}`,
        6,
      ),
    ];
  }
  if (facts !== undefined && !facts.isDirectory()) {
    return [failed(`control.directory: ${directory} is no folder`, 'mend control.directory')];
  }
  const where = url === undefined ? await describeEmbedded(directory) : 'a database of its own';
  return [ok(`clona keeps its state in ${where}`)];
}

/** As root the server runs as another user, who cannot get into a closed folder. */
async function describeEmbedded(directory: string): Promise<string> {
  const { placeControl } = await import('../control/place.ts');
  const { folder } = placeControl(directory);
  if (dirname(folder) === resolve(directory)) return `an embedded database in ${directory}`;
  return `${directory}, its embedded database in ${folder}: other users cannot enter the former`;
}

async function nearestFolder(path: string): Promise<string> {
  const parent = dirname(path);
  if (parent === path) return path;
  return stat(parent).then(
    () => parent,
    () => nearestFolder(parent),
  );
}

/** Whether clona serve could listen; a clona serve that runs already holds the port, too. */
export async function listenPort({ site }: Patient): Promise<Finding[]> {
  const { listen, token } = site.serve;
  const at = listen.lastIndexOf(':');
  const host = listen.slice(0, at).replace(/^\[|\]$/g, '');
  const port = Number(listen.slice(at + 1));
  const problem = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
  if (problem?.code === 'EADDRINUSE') {
    return [ok(`serve.listen: something listens on ${listen} already, perhaps clona serve`)];
  }
  if (problem !== undefined) {
    return [
      failed(
        `serve.listen: ${listen} cannot be listened on (${problem.code ?? problem.message})`,
        'mend serve.listen',
      ),
    ];
  }
  const trigger = token === undefined ? 'the HTTP trigger is off (no serve.token)' : 'with its HTTP trigger';
  return [ok(`clona serve can listen on ${listen}, ${trigger}`)];
}

/**
 * Locks of Pulumi's state that a dead process left. clona's own locks are sessions of the control database or name
 * a process, and are taken over by themselves.
 */
export async function staleLocks({ site }: Patient): Promise<Finding[]> {
  const folder = stateFolderOf(site);
  if (folder === undefined)
    return [skipped(`locks of a Pulumi backend elsewhere are said when its stack is used`)];
  const locks = await readLockFiles(folder);
  return locks.length === 0 ? [ok('no lock was left behind')] : locks.map(judgeLock);
}

function judgeLock(lock: LockedStack): Finding {
  const who = `process ${lock.pid} of ${lock.user} on ${lock.host}, since ${lock.since}`;
  const clear = `clona refresh --machine ${lock.stack} --break-lock, or pulumi cancel`;
  if (isDeadLock(lock)) return failed(`a dead lock on the stack ${lock.stack}: ${who}`, clear);
  return lock.host === hostname()
    ? ok(`Pulumi is at work on the stack ${lock.stack}: ${who}`)
    : warning(`the stack ${lock.stack} is locked by ${who}`, `if that process is gone: ${clear}`);
}

/** Who shares staging machines with whom: whoever has the same state. */
export function pulumiState({ site }: Patient): Finding[] {
  const findings: Finding[] = [];
  const folder = stateFolderOf(site);
  if (folder === undefined) {
    findings.push(
      ok(
        `the state of staging machines lies in ${showBackend(site.pulumi.backend ?? '')}: whoever uses it shares them`,
      ),
    );
  } else {
    const what = `the state of staging machines lies in ${folder}: a laptop and clona serve elsewhere do not share them`;
    const mend = 'set pulumi.backend to one that all of them reach (s3://…, postgres://…, a mounted folder)';
    // A machine on this host is nobody else's anyway.
    findings.push(site.machines.platform === 'vsphere' ? warning(what, mend) : ok(what));
  }
  const byHand = process.env['PULUMI_BACKEND_URL'];
  if (
    byHand !== undefined &&
    byHand !== site.pulumi.backend &&
    backendFolder(byHand, site.folder, homedir()) !== folder
  ) {
    findings.push(
      warning(
        `PULUMI_BACKEND_URL names ${showBackend(byHand)}: pulumi by hand uses another state than clona`,
        'unset it, or set pulumi.backend to the same',
      ),
    );
  }
  return findings;
}

function stateFolderOf({ pulumi, control, folder }: Patient['site']): string | undefined {
  return pulumi.backend === undefined
    ? join(control.directory, 'pulumi')
    : backendFolder(pulumi.backend, folder, homedir());
}

/** Addresses of databases and buckets may hold a password or keys. */
function showBackend(backend: string): string {
  return backend.replace(/\/\/[^/@]*@/, '//…@').replace(/\?.*$/s, '');
}
