import { join } from 'node:path';
import { projectRoot } from '../../src/paths.ts';

/** The path of a certificate or key of the tests: see test/fixtures/tls/make.sh. */
export function fixture(name: string): string {
  return join(projectRoot, 'test', 'fixtures', 'tls', name);
}
