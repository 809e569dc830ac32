import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { fingerprint } from '../../src/guest/open.ts';
import { createSshServer } from '../../src/machines/local/ssh-server.ts';

/** What runs behind a simulated VM: a real SSH server at an address of its own, and its disks as folders. */
export interface SimulatedGuests extends AsyncDisposable {
  port: number;
  privateKeyFile: string;
  /** A machine with empty disks, or with a copy of another one's; it has a host key of its own. */
  make(name: string, source?: string): Promise<{ address: string; hostKey: string }>;
  powerOn(name: string): Promise<void>;
  powerOff(name: string): Promise<void>;
  snapshot(name: string, snapshot: string): Promise<void>;
  revert(name: string, snapshot: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Where its disks are on this host. */
  folder(name: string): string;
}

const user = 'erp';

export async function startSimulatedGuests(root: string): Promise<SimulatedGuests> {
  const client = ssh2.utils.generateKeyPairSync('ed25519');
  const privateKeyFile = join(root, 'guest-key');
  await writeFile(privateKeyFile, client.private, { mode: 0o600 });
  const servers = new Map<string, ReturnType<typeof createSshServer>>();
  const machines = new Map<string, { address: string; hostKey: string }>();
  const folder = (name: string): string => join(root, 'guests', name);
  let port = 0;

  const powerOff = async (name: string): Promise<void> => {
    const server = servers.get(name);
    if (server === undefined) return;
    servers.delete(name);
    const closed = once(server, 'close');
    server.close();
    await closed;
  };
  const powerOn = async (name: string): Promise<void> => {
    const machine = machines.get(name);
    if (servers.has(name) || machine === undefined) return;
    const server = createSshServer({
      hostKey: machine.hostKey,
      user,
      authorizedKeys: [client.public],
      home: join(folder(name), 'disks'),
      env: { PATH: '/usr/bin:/bin' },
    });
    server.listen(port, machine.address);
    await once(server, 'listening');
    const listening = server.address();
    if (typeof listening === 'object' && listening !== null) port = listening.port;
    servers.set(name, server);
  };
  const restoreDisks = async (name: string, from: string): Promise<void> => {
    await rm(join(folder(name), 'disks'), { recursive: true, force: true });
    await cp(from, join(folder(name), 'disks'), { recursive: true });
  };
  return {
    get port() {
      return port;
    },
    privateKeyFile,
    folder,
    powerOn,
    powerOff,
    async make(name, source) {
      const host = ssh2.utils.generateKeyPairSync('ed25519');
      const parsed = ssh2.utils.parseKey(host.public);
      if (parsed instanceof Error) throw parsed;
      const address = `127.0.0.${10 + machines.size}`;
      machines.set(name, { address, hostKey: host.private });
      for (const disk of ['system', 'data'])
        await mkdir(join(folder(name), 'disks', disk), { recursive: true });
      if (source !== undefined) await restoreDisks(name, join(folder(source), 'disks'));
      await powerOn(name);
      return { address, hostKey: fingerprint(parsed.getPublicSSH()) };
    },
    async snapshot(name, snapshot) {
      await cp(join(folder(name), 'disks'), join(folder(name), `snapshot-${snapshot}`), { recursive: true });
    },
    async revert(name, snapshot) {
      await powerOff(name);
      await restoreDisks(name, join(folder(name), `snapshot-${snapshot}`));
    },
    async remove(name) {
      await powerOff(name);
      machines.delete(name);
      await rm(folder(name), { recursive: true, force: true });
    },
    async [Symbol.asyncDispose]() {
      for (const name of servers.keys()) await powerOff(name);
    },
  };
}
