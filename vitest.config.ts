import { defineConfig } from 'vitest/config'

const minutes = 60_000

export default defineConfig({
  test: {
    teardownTimeout: minutes,
    reporters: ['default', './workshop/closing-line-reporter.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'src/**/*.test.ts',
            'workshop/**/*.test.ts',
            'test/conformance/**/*.test.ts',
            'test/contract/**/*.test.ts',
          ],
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 20_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'security',
          include: ['test/security/**/*.test.ts'],
          testTimeout: 20_000,
          hookTimeout: 30_000,
          // Many small files, each with a connector of its own, which share nothing but modules and mostly wait.
          isolate: false,
          maxWorkers: 3,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts', 'sandbox/**/*.test.ts', 'demo/**/*.test.ts'],
          testTimeout: 3 * minutes,
          hookTimeout: 15 * minutes,
          fileParallelism: false,
          maxConcurrency: 4,
          globalSetup: 'test/e2e/surroundings.ts',
        },
      },
    ],
  },
})
