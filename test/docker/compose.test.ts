import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadExperiment } from '../../src/config/load.ts';
import { peerNames } from '../../src/config/peers.ts';
import { projectRoot } from '../../src/paths.ts';
import { fixture } from '../support/certificates.ts';
import { globalArguments, instructions, lineage, readDocker } from './dockerfile.ts';
import { flagsOf, variablesOf } from './programs.ts';

interface Service {
  readonly image: string;
  readonly build: { context: string; dockerfile: string; target: string; args?: Record<string, string> };
  readonly command?: string[];
  readonly environment: Record<string, string | null>;
  readonly depends_on?: Record<string, { condition: string }>;
  readonly deploy?: {
    replicas?: number;
    resources?: { reservations: { devices: { device_ids: string[]; capabilities: string[] }[] } };
  };
  readonly secrets: string[];
  readonly volumes: string[];
  readonly ports?: string[];
  readonly init: boolean;
  readonly stop_grace_period: string;
}

interface Compose {
  readonly services: Record<string, Service>;
  readonly secrets: Record<string, { file: string }>;
  readonly volumes: Record<string, null>;
}

const FILES = ['compose.yaml', 'compose.cpu.yaml'];
const read = (file: string): Compose => parse(readDocker(file), { merge: true });
const services = (file: string): [string, Service][] => Object.entries(read(file).services);
const isPeer = ({ build }: Service): boolean => build.target.startsWith('peer');

/** Replaces `${NAME:-default}` by its default. */
const withDefaults = (text: string): string => text.replace(/\$\{\w+:-([^}]*)\}/g, '$1');

describe.each(FILES)('docker/%s', (file) => {
  it('is what the Compose Specification allows', () => {
    const schema = JSON.parse(readFileSync(join(projectRoot, 'test/docker/compose-spec.json'), 'utf8'));
    // Not strict: the schema has keywords of its own, such as `deprecated`.
    const ajv = new Ajv2020({ strict: false, allErrors: true });
    const validate = ajv.compile(schema);
    expect(validate(read(file)), JSON.stringify(validate.errors)).toBe(true);
    const broken = { ...read(file), services: { one: { image: 'x', restrat: 'no' } } };
    expect(validate(broken)).toBe(false);
  });

  it('builds the targets of the Dockerfile, with its arguments', () => {
    const stages = instructions().map(({ stage }) => stage);
    for (const [name, { build }] of services(file)) {
      expect([build.context, build.dockerfile], name).toEqual(['..', 'docker/Dockerfile']);
      expect(stages).toContain(build.target);
      for (const [key, value] of Object.entries(build.args ?? {})) {
        expect(withDefaults(value), key).toBe(globalArguments()[key]);
      }
    }
  });

  it('sets only variables and flags that the programs know', () => {
    for (const [name, service] of services(file)) {
      const program = isPeer(service) ? 'peer' : 'coordinator';
      const variables = Object.keys(service.environment).filter((key) => key.startsWith('CODISTILL_'));
      expect(variablesOf(program), name).toEqual(expect.arrayContaining(variables));
      const flags = (service.command ?? []).filter((word) => word.startsWith('--'));
      expect(flagsOf(program), name).toEqual(expect.arrayContaining(flags));
    }
  });

  it('gives every program the token, time to stop, and volumes whose folders the image has', () => {
    const { secrets, volumes } = read(file);
    for (const [name, service] of services(file)) {
      expect(service, name).toMatchObject({ init: true, stop_grace_period: '30s', secrets: ['token'] });
      expect(service.environment.CODISTILL_TOKEN_FILE).toBe('/run/secrets/token');
      const made = lineage(service.build.target, globalArguments()).flatMap((stage) =>
        instructions()
          .filter((each) => each.stage === stage && each.rest.startsWith('mkdir '))
          .flatMap(({ rest }) => rest.split(' ').slice(1)),
      );
      for (const volume of service.volumes) {
        const [source, target] = volume.split(':') as [string, string];
        expect(Object.keys(volumes)).toContain(source);
        expect(made, name).toContain(target.replace('/home/node/', ''));
      }
    }
    expect(secrets.token!.file).toBe('./token');
    expect(readDocker('.gitignore').split('\n')).toContain('/token');
  });

  it('has a peer for every place of its experiment, each waiting for a coordinator that is there', async () => {
    const all = services(file);
    const [coordinator] = all.filter(([, service]) => !isPeer(service));
    const { experiment } = await loadExperiment(withDefaults(coordinator![1].command![0]!), []);
    const peers = all.filter(([, service]) => isPeer(service));
    const count = peers.reduce((sum, [, { deploy }]) => sum + (deploy?.replicas ?? 1), 0);
    expect(count).toBe(peerNames(experiment).length);
    for (const [, peer] of peers) {
      expect(peer.environment.CODISTILL_COORDINATOR).toBe(`ws://${coordinator![0]}:7070`);
      expect(peer.depends_on).toEqual({ [coordinator![0]]: { condition: 'service_healthy' } });
    }
  });

  it('lets only this machine reach the coordinator, unless told otherwise', () => {
    const ports = services(file).flatMap(([, service]) => service.ports ?? []);
    expect(ports.map(withDefaults)).toEqual(['127.0.0.1:7070:7070']);
  });
});

describe('docker/compose.yaml', () => {
  it('gives each peer a card of its own', () => {
    const devices = services('compose.yaml').flatMap(
      ([, { deploy }]) => deploy?.resources?.reservations.devices ?? [],
    );
    expect(devices.map(({ device_ids }) => device_ids)).toEqual([['0'], ['1']]);
    for (const { capabilities } of devices) expect(capabilities).toEqual(['gpu']);
  });
});

describe('docker/healthcheck.mjs', () => {
  const script = join(projectRoot, 'docker', 'healthcheck.mjs');

  it.each([
    ['', {}],
    [' over TLS', { CODISTILL_TLS_CERT: fixture('elsewhere.pem') }],
  ])('ends with 0 when the coordinator answers%s', async (_, env) => {
    const listener: RequestListener = (request, response) => {
      response.writeHead(request.url === '/healthz' ? 200 : 404).end();
    };
    const tls = { cert: readFileSync(fixture('elsewhere.pem')), key: readFileSync(fixture('key.pem')) };
    const server = 'CODISTILL_TLS_CERT' in env ? createTlsServer(tls, listener) : createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const child = spawn(process.execPath, [script], { env: { CODISTILL_PORT: String(port), ...env } });
    expect(await new Promise((resolve) => child.on('exit', resolve))).toBe(0);
    server.close();
  });

  it('ends with 1 and says why when nothing answers', () => {
    // Nothing can listen on port 1 without being root's.
    const { status, stderr } = spawnSync(process.execPath, [script], {
      env: { CODISTILL_PORT: '1' },
      encoding: 'utf8',
    });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^http:\/\/127\.0\.0\.1:1\/healthz: /);
  });
});
