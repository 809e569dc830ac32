import { stat } from 'node:fs/promises';
import { toClonaError } from '../errors.ts';
import { quoteSh } from '../guest/quote.ts';
import { resolveSecret, showSecretRef, type SecretRef } from '../site/secret.ts';
import { failed, ok, skipped, warning, type Finding, type Patient } from './check.ts';

/** Every secret that the site file refers to: is it there, and is it for its owner's eyes only. */
export async function secretsResolve({ site }: Patient): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const [key, ref] of listSecrets(site)) found.push(await lookAtSecret(key, ref));
  if (site.guest !== undefined) {
    found.push(await lookAtSecret('guest.privateKey', { kind: 'file', path: site.guest.privateKey }));
  }
  return found.length === 0 ? [skipped('the site file refers to no secret')] : found;
}

async function lookAtSecret(key: string, ref: SecretRef): Promise<Finding> {
  const place = showSecretRef(ref);
  try {
    await resolveSecret(ref);
  } catch (thrown) {
    const { message, hint } = toClonaError(thrown);
    return failed(`${key}: ${message}`, hint ?? `create ${place}`);
  }
  if (ref.kind === 'env') return ok(`${key}: ${place} is set`);
  const { mode } = await stat(ref.path);
  // Windows and some mounts know no modes: every file looks open to all there.
  if ((mode & 0o077) === 0) return ok(`${key}: ${place}`);
  return warning(
    `${key}: others may read ${ref.path} (mode ${(mode & 0o777).toString(8)})`,
    `chmod 600 ${quoteSh(ref.path)}`,
  );
}

/** `database.password` and its reference, wherever one stands in the site file. */
function listSecrets(value: unknown, at: readonly string[] = []): [string, SecretRef][] {
  if (typeof value !== 'object' || value === null) return [];
  if (isSecretRef(value)) return [[at.join('.'), value]];
  return Object.entries(value).flatMap(([key, next]) => listSecrets(next, [...at, key]));
}

function isSecretRef(value: object): value is SecretRef {
  if (!('kind' in value)) return false;
  return (value.kind === 'env' && 'name' in value) || (value.kind === 'file' && 'path' in value);
}
