import { readFile } from 'node:fs/promises';
import { ClonaError } from '../errors.ts';

/** Where a secret is found. The site file never holds one itself. */
export type SecretRef = { kind: 'env'; name: string } | { kind: 'file'; path: string };

export const secretPattern = /^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/;

/** `env:ERP_PASSWORD` or `file:/absolute/path`, as `parseSecretRef` of the site file reads it. */
export function showSecretRef(ref: SecretRef): string {
  return ref.kind === 'env' ? `env:${ref.name}` : `file:${ref.path}`;
}

/**
 * The secret itself, read as late as possible: at its use, not when the site file is loaded. A file's last line
 * break is not part of the secret. Throws `secretMissing`; the message names the place, never the content.
 */
export async function resolveSecret(ref: SecretRef): Promise<string> {
  if (ref.kind === 'env') {
    const value = process.env[ref.name];
    if (value === undefined || value === '') {
      throw new ClonaError('secretMissing', `the environment variable ${ref.name} is not set`, {
        hint: `the site file takes a secret from it: export ${ref.name} in the shell or unit that starts clona`,
      });
    }
    return value;
  }
  let text: string;
  try {
    text = await readFile(ref.path, 'utf8');
  } catch (cause) {
    throw new ClonaError('secretMissing', `the secret file ${ref.path} cannot be read`, {
      cause,
      hint: 'the site file takes a secret from it: create it with mode 600, owned by the user who runs clona',
    });
  }
  const secret = text.replace(/\r?\n$/, '');
  if (secret === '') {
    throw new ClonaError('secretMissing', `the secret file ${ref.path} is empty`, {
      hint: 'write the secret into it as its only line',
    });
  }
  return secret;
}
