import { ClonaError, toClonaError } from '../../../errors.ts';
import { readParameters, setParameters, type OracleFenceContext, type OracleFenceItem } from './item.ts';

/** Of the root: those of pluggable databases are called as these are, and lie on the clone's own network. */
const active = `SELECT NAME FROM V$ACTIVE_SERVICES WHERE CON_ID IN (0, 1) ORDER BY NAME`;

/**
 * Services that production's clients ask for: a clone that offers them under the same names is taken for production by whoever reaches
 * its listener. What is the server's own, or what the clone is called, stays.
 */
export const services: OracleFenceItem = {
  name: 'services',
  apply: async (context) => {
    const { session } = context;
    const names = await readParameters(session, ['service_names']);
    const [unique = ''] = await ownNames(context);
    // Named there, they would be back at the next start.
    const foreign = splitNames(names.get('service_names')).filter((name) => !isKept(name, unique, context));
    if (foreign.length > 0) await setParameters(session, { service_names: unique });
    for (const service of await foreignServices(context)) {
      await session
        .execute('BEGIN DBMS_SERVICE.STOP_SERVICE(service_name => :service); END;', { service })
        .catch((error: unknown) => {
          // ORA-44311: it does not run, because it was taken out of SERVICE_NAMES a moment ago.
          if (!/ORA-44311/.test(toClonaError(error).message)) throw error;
        });
    }
    await startKept(context);
  },
  findHoles: async (context) =>
    (await foreignServices(context)).map((name) => `the service ${name} is offered`),
};

/** A start of the database starts none of them: the application on the clone would find nobody. */
async function startKept({ session, keepServices = [] }: OracleFenceContext): Promise<void> {
  const running = (await session.query(active)).map(([name]) => (name ?? '').toUpperCase());
  for (const service of keepServices) {
    if (running.includes(service.toUpperCase())) continue;
    try {
      await session.execute('BEGIN DBMS_SERVICE.START_SERVICE(service_name => :service); END;', { service });
    } catch (error) {
      const { message } = toClonaError(error);
      // ORA-44305: it runs already.
      if (message.includes('ORA-44305')) continue;
      if (!message.includes('ORA-44304')) throw error;
      throw new ClonaError('siteInvalid', `the clone has no service ${service} (staging.services)`, {
        cause: error,
        hint: 'SELECT NAME FROM DBA_SERVICES in production shows them, in their very letters',
      });
    }
  }
}

async function foreignServices(context: OracleFenceContext): Promise<string[]> {
  const [unique = ''] = await ownNames(context);
  const rows = await context.session.query(active);
  return rows.map(([name]) => name ?? '').filter((name) => !isKept(name, unique, context));
}

async function ownNames({ session }: OracleFenceContext): Promise<string[]> {
  const rows = await session.query('SELECT DB_UNIQUE_NAME FROM V$DATABASE');
  return rows.map(([name]) => name ?? '');
}

function isKept(name: string, unique: string, { keepServices = [] }: OracleFenceContext): boolean {
  const [plain = ''] = name.toUpperCase().split('.');
  const own = unique.toUpperCase();
  return (
    name.startsWith('SYS$') ||
    plain === own ||
    // The dispatcher of XML DB.
    plain === `${own}XDB` ||
    keepServices.some((kept) => kept.toUpperCase() === name.toUpperCase())
  );
}

function splitNames(value: string | undefined): string[] {
  return (value ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
