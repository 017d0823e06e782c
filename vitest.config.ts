import { defineConfig } from 'vitest/config';
import { RollCall } from './test/clients/roll-call.ts';

const report = process.env['TEST_REPORT'];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    maxWorkers: 2,
    reporters: ['default', new RollCall(), ...(report ? [['json', { outputFile: report }] as ['json', object]] : [])],
  },
});
