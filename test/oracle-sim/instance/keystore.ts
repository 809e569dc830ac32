import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OraError } from '../wire/values.ts';
import type { TokenCursor } from '../sql/cursor.ts';
import type { Instance } from './instance.ts';
import { requirePrivilege, type Action, type Session } from './session.ts';

/**
 * A keystore of the simulator: a text with `key=…` lines, and `password=…` in ewallet.p12. It lies in `tde` below
 * WALLET_ROOT; cwallet.sso opens by itself, ewallet.p12 with ADMINISTER KEY MANAGEMENT, until the instance ends.
 */
function read(instance: Instance, name: string): Map<string, string[]> | null {
  const root = instance.database?.parameters.get('wallet_root');
  const path = root === undefined ? null : join(root, 'tde', name);
  if (path === null || !existsSync(path)) return null;
  const found = new Map<string, string[]>();
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [key = '', value = ''] = line.split('=');
    found.set(key, [...(found.get(key) ?? []), value]);
  }
  return found;
}

function openKeys(instance: Instance): readonly string[] | null {
  return instance.keystoreKeys ?? read(instance, 'cwallet.sso')?.get('key') ?? null;
}

/** What is encrypted with this master key: nothing is done with it while its keystore is closed, or has other keys. */
export function requireKey(instance: Instance, key: string | undefined): void {
  if (key === undefined) return;
  const keys = openKeys(instance);
  if (keys === null) throw new OraError(28365, 'wallet is not open');
  if (!keys.includes(key)) throw new OraError(28374, 'typed master key not found in wallet');
}

/** ADMINISTER KEY MANAGEMENT SET KEYSTORE OPEN IDENTIFIED BY "password". */
export function parseKeyManagement(cursor: TokenCursor, { instance, user }: Session): Action {
  requirePrivilege(user, 'SYSDBA');
  for (const word of ['KEY', 'MANAGEMENT', 'SET', 'KEYSTORE', 'OPEN', 'IDENTIFIED', 'BY'])
    cursor.expect(word, 905, 'missing keyword');
  const password = cursor.next().text;
  return () => {
    const found = read(instance, 'ewallet.p12');
    if (openKeys(instance) !== null) {
      throw new OraError(28354, 'Encryption wallet, auto login wallet, or HSM is already open');
    }
    if (found === null) throw new OraError(28367, 'wallet does not exist');
    if (found.get('password')?.[0] !== password) throw new OraError(28353, 'failed to open wallet');
    instance.keystoreKeys = found.get('key') ?? [];
  };
}
