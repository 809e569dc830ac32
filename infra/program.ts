import { Config, getProject, runtime, RunError } from '@pulumi/pulumi';
import { readStagingConfig } from './config.ts';
import { LiveStaging } from './live-staging.ts';
import type { LiveStagingArgs } from './staging-args.ts';

/**
 * One staging machine by the keys of `pulumi config` (infra/config.ts). `defaults` stand for keys that the stack
 * does not set. Throws a RunError with every mistake of the configuration.
 */
export function createStagingByConfig(defaults: Partial<Pick<LiveStagingArgs, 'source'>> = {}): LiveStaging {
  const config = new Config(getProject());
  const settings = readStagingConfig({
    project: config.name,
    all: runtime.allConfig(),
    isSecret,
    env: process.env,
  });
  if ('mistakes' in settings) {
    throw new RunError(`the configuration of this stack has mistakes:\n${settings.mistakes}`);
  }
  const source = config.get('source') ?? defaults.source ?? settings.args.source;
  return new LiveStaging(settings.args.name ?? 'staging', { ...settings.args, source });
}

/** The engine says it to the program beside the keys themselves. */
function isSecret(key: string): boolean {
  const keys: unknown = JSON.parse(process.env['PULUMI_CONFIG_SECRET_KEYS'] ?? '[]');
  return Array.isArray(keys) && keys.includes(key);
}
