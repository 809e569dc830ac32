import type { Session } from '../instance/session.ts';
import { compileSchema } from '../instance/code-objects.ts';
import { pumpConstants, pumpRoutines } from '../pump/package.ts';
import { builtins } from './builtins.ts';
import type { Routine } from './run.ts';
import { sessionRoutines } from './session-package.ts';
import { outletConstants, outletRoutines } from './outlet-packages.ts';
import { flashbackRoutines } from './flashback-package.ts';
import { textOf, type PlsqlValue } from './values.ts';

export function constantNamed(name: string): PlsqlValue | undefined {
  const [packageName, constant] = name.split('.');
  if (name === 'DBMS_METADATA.SESSION_TRANSFORM') return -1n;
  if (Object.hasOwn(outletConstants, name)) return outletConstants[name];
  if (packageName !== 'DBMS_DATAPUMP' || constant === undefined) return undefined;
  return pumpConstants[constant];
}

/** The routines a session may call, by PACKAGE.NAME. */
export function routinesOf(session: Session): (name: string) => Routine | undefined {
  const pump = pumpRoutines(session);
  const own: Record<string, Routine> = {
    'DBMS_UTILITY.COMPILE_SCHEMA': {
      parameters: ['SCHEMA', 'COMPILE_ALL?', 'REUSE_SETTINGS?'],
      run: ({ SCHEMA }) => {
        compileSchema(session, textOf(SCHEMA!.value));
        return null;
      },
    },
    'UTL_RECOMP.RECOMP_SERIAL': {
      parameters: ['SCHEMA?', 'FLAGS?'],
      run: ({ SCHEMA }) => {
        compileSchema(session, SCHEMA === undefined ? null : textOf(SCHEMA.value));
        return null;
      },
    },
    // How a definition is written: here there is only one way.
    'DBMS_METADATA.SET_TRANSFORM_PARAM': {
      parameters: ['TRANSFORM_HANDLE', 'NAME', 'VALUE'],
      run: () => null,
    },
    'DBMS_OUTPUT.PUT_LINE': { parameters: ['A'], run: () => null },
    COMMIT: {
      parameters: [],
      run: () => {
        session.commit();
        return null;
      },
    },
    ...pump,
    ...outletRoutines(session),
    ...sessionRoutines(session),
    ...flashbackRoutines(session),
  };
  return (name) =>
    Object.hasOwn(own, name) ? own[name] : Object.hasOwn(builtins, name) ? builtins[name] : undefined;
}
