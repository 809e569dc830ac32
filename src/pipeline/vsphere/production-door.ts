import { rmSync } from 'node:fs';
import type { DatabaseAddress } from '../../databases/database.ts';
import { openGuestBridge } from '../../databases/postgres/guest-bridge.ts';
import type { Guest } from '../../guest/guest.ts';
import { openGuest } from '../../guest/open.ts';
import { openTcpBridge } from '../../guest/tcp-bridge.ts';
import { openVim } from '../../machines/vsphere/client.ts';
import { createVsphereMachines } from '../../machines/vsphere/machines.ts';
import { resolveSecret } from '../../site/secret.ts';
import type { Site } from '../../site/site.ts';
import { productionAddress } from '../oracle/settings.ts';
import { requireMachine } from './door.ts';
import { nameDatabase, resolveVimAddress, vsphereMachine, vsphereSettings } from './site-settings.ts';

const opened = new Map<string, Promise<DatabaseAddress>>();

/**
 * Production's database for verbs that ask it outside of a run: a Unix socket of this process (Oracle: a port of the
 * loopback) whose every connection goes through an SSH connection of its own. It keeps no process alive and is gone with it.
 */
export async function openProductionDoor(site: Site): Promise<DatabaseAddress> {
  const known = opened.get(site.file) ?? openDoor(site);
  opened.set(site.file, known);
  known.catch(() => opened.delete(site.file));
  return known;
}

async function openDoor(site: Site): Promise<DatabaseAddress> {
  const database = await nameDatabase(site);
  const connect = async (): Promise<Guest> => {
    // Nobody waits longer for a session: the driver gives up by itself.
    const signal = AbortSignal.timeout(30_000);
    const { name } = site.machines.live;
    await using vim = await openVim(await resolveVimAddress(site, 'clone'), signal);
    const machines = createVsphereMachines(vim, (one) => vsphereMachine(site, one, database));
    const facts = await machines.describe(name, signal);
    const guest = await openGuest(facts.guest, signal);
    await requireMachine(guest, facts, signal);
    return guest;
  };
  // A session that is turned away could not say why: who cannot get in at all is told here.
  await (await connect())[Symbol.asyncDispose]();
  if (database.engine === 'oracle') {
    const listener = { host: '127.0.0.1', port: database.port };
    const near = await openTcpBridge(connect, listener, new AbortController().signal, true);
    return productionAddress(site, near);
  }
  const socket = `${vsphereSettings(site).socketDir}/.s.PGSQL.${database.port}`;
  const bridge = await openGuestBridge(connect, socket, new AbortController().signal, true);
  process.once('exit', () => rmSync(bridge.folder, { recursive: true, force: true }));
  const { password } = site.database;
  return {
    ...database,
    host: bridge.folder,
    port: 5432,
    ...(password === undefined ? {} : { password: await resolveSecret(password) }),
  };
}
