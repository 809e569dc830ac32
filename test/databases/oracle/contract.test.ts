import { rm } from 'node:fs/promises';
import { resolveDatabaseAddress } from '../../../src/site/address.ts';
import { parseSite } from '../../../src/site/parse.ts';
import { describeOracleContract, type OracleUnderTest } from '../../contracts/oracle.ts';
import { startOracleSim } from '../../oracle-sim/server.ts';
import { makeTestFolder } from '../../support/machine.ts';

describeOracleContract('simulated, driver-verified', async (): Promise<OracleUnderTest> => {
  const folder = await makeTestFolder();
  const sim = await startOracleSim({ instance: { storage: { folder } } });
  const { host, port, user, password } = sim;
  return {
    address: { engine: 'oracle', host, port, database: 'ERP', user, password },
    [Symbol.asyncDispose]: async () => {
      await sim[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
});

// The same tests, one variable: CLONA_ORACLE_URL=oracle://user:password@host:1521/service npm run test:oracle
if (process.env['CLONA_ORACLE_URL'] !== undefined) {
  describeOracleContract('at CLONA_ORACLE_URL, Oracle-verified', async (): Promise<OracleUnderTest> => {
    const privilege = process.env['CLONA_ORACLE_PRIVILEGE'] ?? 'normal';
    const text = `name: contract\narchive: { location: a }\ndatabase: { engine: oracle, url: env:CLONA_ORACLE_URL, oracle: { privilege: ${privilege} } }`;
    const parsed = parseSite(text, '/');
    if ('mistakes' in parsed) throw new Error(JSON.stringify(parsed.mistakes));
    const address = await resolveDatabaseAddress(parsed.site.database);
    return { address: address!, [Symbol.asyncDispose]: async () => {} };
  });
}
