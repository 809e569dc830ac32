import type { EngineEvent } from '@pulumi/pulumi/automation/index.js';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { silent } from '../../progress.ts';
import { findToolchain } from './toolchain.ts';
import { stackFolder, type WorkspaceSettings } from './workspace.ts';

/** The policies of LIVE STAGING, as `--policy-pack` takes them. */
export const policyPack = fileURLToPath(new URL('../../../infra/policy', import.meta.url));

export interface PolicyWish {
  /** Networks, by name or id, that lead nowhere although their switch may have an uplink. */
  isolatedNetworks: readonly string[];
}

export interface PolicyOptions {
  policyPacks?: string[];
  policyPackConfigs?: string[];
}

/** What the engine is told of the policies. Without its language host, which runs them, it is told nothing. */
export async function policyOptions(
  settings: WorkspaceSettings & { name: string; policies?: PolicyWish | undefined },
): Promise<PolicyOptions> {
  const { policies, name, onProgress = silent } = settings;
  if (policies === undefined) return {};
  const { languageHost } = settings.toolchain ?? (await findToolchain(settings));
  if (languageHost === null) {
    const detail = 'not judged: pulumi-language-nodejs, which runs policies, is not here';
    onProgress({ step: 'policies of staging machines', state: 'failed', detail });
    return {};
  }
  const path = `${stackFolder(settings, name)}.policies.json`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(path, JSON.stringify({ 'staging-isolated': policies }));
  return { policyPacks: [policyPack], policyPackConfigs: [path] };
}

/** A refusal that stops the engine, in one line; undefined: the event is none. */
export function policyRefusal({ policyEvent }: EngineEvent): string | undefined {
  if (policyEvent?.enforcementLevel !== 'mandatory') return undefined;
  const { message, policyName } = policyEvent;
  // The engine puts the policy's description before what the policy itself says.
  const said = message.trim().split('\n').at(-1)?.trim() ?? '';
  return `${said} (${policyName})`;
}
