import type { MachineFacts } from '../machines.ts';
import { databasePort, requireRecord, type MachinePaths } from './layout.ts';
import { findServer } from './ssh-process.ts';

/** What a machine says of itself. Throws `machineFailed` when there is none. */
export async function describeMachine(paths: MachinePaths, name: string): Promise<MachineFacts> {
  const record = await requireRecord(paths, name);
  const server = await findServer(paths);
  return {
    name: record.name,
    platform: 'local',
    role: record.role,
    power: server === undefined ? 'off' : 'on',
    guest: {
      endpoint:
        record.sshPort === null
          ? { kind: 'socket', path: `${record.run}/ssh.sock` }
          : { kind: 'tcp', host: '127.0.0.1', port: server?.port ?? record.sshPort },
      user: record.user,
      privateKeyFile: paths.clientKey,
      hostKey: record.hostKey,
      platform: 'linux',
    },
    database: {
      engine: 'postgres',
      host: record.run,
      port: databasePort,
      database: record.databaseName,
      user: record.databaseUser,
    },
    isolation: record.isolation,
    createdAt: record.createdAt,
    expiresAt: record.expiresAt,
    systemDisk: paths.system,
    dataDisk: paths.data,
  };
}
