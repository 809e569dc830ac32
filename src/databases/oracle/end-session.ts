import { toClonaError } from '../../errors.ts';
import type { DatabaseAddress } from '../database.ts';
import { connectOracle } from './connect.ts';

/**
 * Ends the sessions that carry this CLIENT_IDENTIFIER: a server does not notice that its client is gone before it has something to say to
 * it, and a statement that runs for hours goes on. Gives what could not be done, in one sentence; null: nothing is left.
 */
export async function endServerSessions(
  address: DatabaseAddress,
  identifier: string,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    await using session = await connectOracle(address, signal, { module: 'clona kit', timeoutMs: 5000 });
    const rows = await session.query(
      "SELECT SID, SERIAL# FROM V$SESSION WHERE CLIENT_IDENTIFIER = :identifier AND STATUS <> 'KILLED'",
      { identifier },
      'reading V$SESSION',
    );
    for (const [sid, serial] of rows) {
      await session.execute(`ALTER SYSTEM KILL SESSION '${Number(sid)},${Number(serial)}' IMMEDIATE`);
    }
    return null;
  } catch (error) {
    return `its session in the server could not be ended (${toClonaError(error).message}): what it does may go on`;
  }
}
