import { access, constants, readdir, readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { failed, ok, warning, type Finding, type Patient } from './check.ts';

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
  const where = url === undefined ? `an embedded database in ${directory}` : 'a database of its own';
  return [ok(`clona keeps its state in ${where}`)];
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
  const folder = join(site.control.directory, 'pulumi');
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const found: Finding[] = [];
  for (const name of names.filter((path) => /(?:^|\/)locks\/.*\.json$/.test(path))) {
    const owner = await readLock(join(folder, name));
    if (owner === undefined) continue;
    const who = `process ${owner.pid} of ${owner.username} on ${owner.hostname}, since ${owner.timestamp}`;
    if (owner.hostname !== hostname()) {
      found.push(warning(`Pulumi's state is locked by ${who}`, 'if that process is gone: pulumi cancel'));
    } else if (isAlive(owner.pid)) found.push(ok(`Pulumi is at work: ${who}`));
    else found.push(failed(`a dead lock on Pulumi's state: ${who}`, 'pulumi cancel'));
  }
  return found.length === 0 ? [ok('no lock was left behind')] : found;
}

async function readLock(
  file: string,
): Promise<{ pid: number; username: string; hostname: string; timestamp: string } | undefined> {
  try {
    const lock = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    return {
      pid: Number(lock['pid']),
      username: String(lock['username']),
      hostname: String(lock['hostname']),
      timestamp: String(lock['timestamp']),
    };
  } catch {
    return undefined; // gone in the meantime
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
