import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { User } from '../instance/accounts.ts';
import { createInstance, type Instance } from '../instance/instance.ts';
import { useSpfile } from '../instance/startup.ts';
import type { ToolCall, ToolResult } from '../machine/tools.ts';

/** What the simulated dbca reads from its standard input, as JSON: the real one's response file is another. */
export interface NewOracleDatabase {
  sid: string;
  databaseName: string;
  /** `oradata` is made in it. */
  folder: string;
  recoveryArea: string;
  tablespaces: string[];
  users: User[];
  /** Y in oratab. */
  startsAtBoot: boolean;
}

/** Makes a database with its SPFILE and line in oratab, and leaves it open. */
export async function createDatabaseByAssistant(
  { stdin }: ToolCall,
  home: string,
  hostName: string,
): Promise<{ result: ToolResult; instance: Instance }> {
  const wanted = JSON.parse(stdin) as NewOracleDatabase;
  const { sid, databaseName, folder, recoveryArea, tablespaces, users, startsAtBoot } = wanted;
  await writeFile(join(home, 'oratab'), `${sid}:${home}:${startsAtBoot ? 'Y' : 'N'}\n`);
  const instance = createInstance(
    {
      databaseName,
      uniqueName: databaseName,
      instanceName: sid,
      serviceName: '',
      hostName,
      home,
      dbid: BigInt(1_000_000_000 + Math.floor(Math.random() * 1_000_000_000)),
      storage: { folder, recoveryArea, tablespaces },
    },
    users,
  );
  useSpfile(instance, instance.spfile ?? new Map());
  return { result: { stdout: '100% complete\n', exitCode: 0 }, instance };
}
