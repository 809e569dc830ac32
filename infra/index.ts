import { Config, getProject, runtime, RunError } from '@pulumi/pulumi';
import { readStagingConfig } from './config.ts';
import { LiveStaging } from './live-staging.ts';

/** The program of `pulumi up` in this folder: one staging machine by the keys of `pulumi config` (infra/config.ts). */
const settings = readStagingConfig(new Config(getProject()), runtime.allConfig());
if ('mistakes' in settings)
  throw new RunError(`the configuration of this stack has mistakes:\n${settings.mistakes}`);

const staging = new LiveStaging(settings.args.name ?? 'staging', settings.args);

export const { machine, sshEndpoint, hostKey, database, createdAt, expiresAt } = staging;
