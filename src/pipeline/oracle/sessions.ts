import type { OracleSession, OracleSql } from '../../databases/oracle/connect.ts';
import { connectOracle } from '../../databases/oracle/connect.ts';
import type { DatabaseAddress } from '../../databases/database.ts';
import { makeFolder, type OracleTools } from '../../databases/oracle/guest-tools.ts';
import { openSqlPlusSession } from '../../databases/oracle/sqlplus-session.ts';
import type { Site } from '../../site/site.ts';
import { withGuest, type MachineAccess } from '../machine/access.ts';
import { endLeftPrograms } from './left-programs.ts';
import { toolsOn } from './settings.ts';

/** Also where people are shut out: the listener is asked for an instance that is restricted. */
export function addressOf({ address }: Pick<MachineAccess, 'address'>): DatabaseAddress {
  return { ...address, oracle: { ...address.oracle, evenRestricted: true } };
}

/** A session by the driver, as the site's own user: for what is read. */
export async function withSession<Result>(
  machine: Pick<MachineAccess, 'address'>,
  signal: AbortSignal,
  work: (session: OracleSession) => Promise<Result>,
): Promise<Result> {
  await using session = await connectOracle(addressOf(machine), signal, { module: 'clona pipeline' });
  return await work(session);
}

/**
 * Oracle's own programs on the machine, in a folder of this piece of work: a second call of it, after a kill, first ends what
 * the first one has left running there.
 */
export async function withTools<Result>(
  site: Site,
  machine: MachineAccess,
  name: string,
  signal: AbortSignal,
  work: (tools: OracleTools) => Promise<Result>,
): Promise<Result> {
  return withGuest(machine, signal, async (guest) => {
    const tools = toolsOn(site, machine.facts, guest, name, signal);
    await makeFolder(guest, tools.workDir, signal);
    await endLeftPrograms(tools);
    return work(tools);
  });
}

/** `/ AS SYSDBA` on the machine: for what is changed, whatever state the instance is in. No password, no listener. */
export function sysdbaOn(tools: OracleTools): OracleSql {
  return openSqlPlusSession(tools);
}
