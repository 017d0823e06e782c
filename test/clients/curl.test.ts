/** curl as the documentation of the service uses it. */
import { expect, it } from 'vitest';
import { run } from '../support/child.ts';
import { describeClient, startTown } from './kit.ts';

describeClient('curl', () => {
  it('fetches an http page', async () => {
    const town = await startTown();
    const { out, status } = await run('curl', ['-s', '-x', town.proxyUrl, `${town.site.httpUrl}/a`]);
    expect(status).toBe(0);
    expect(out).toContain('page /a');
  });

  it('fetches an https page with the CA', async () => {
    const town = await startTown({ upstreams: 1 });
    const args = ['-s', '-x', town.proxyUrl, '--cacert', town.caFile, `${town.site.httpsUrl}/b`];
    const { out, status } = await run('curl', args);
    expect(status).toBe(0);
    expect(out).toContain('page /b');
  });
});
