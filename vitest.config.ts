import { defineConfig } from 'vitest/config'

const minutes = 60_000
/** Files that share nothing but modules, of which none keeps state, and that mostly wait: for the network, or for a process. */
const sharingModules = { isolate: false, maxWorkers: 3 }

export default defineConfig({
  test: {
    teardownTimeout: minutes,
    reporters: ['default', './workshop/closing-line-reporter.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          ...sharingModules,
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
          ...sharingModules,
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 20_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'security',
          ...sharingModules,
          include: ['test/security/**/*.test.ts'],
          testTimeout: 20_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts', 'sandbox/**/*.test.ts', 'demo/**/*.test.ts'],
          testTimeout: 3 * minutes,
          hookTimeout: 15 * minutes,
          maxWorkers: 2,
          maxConcurrency: 4,
          // Behind the others, which take another number of workers.
          sequence: { groupOrder: 1 },
          globalSetup: 'test/e2e/surroundings.ts',
        },
      },
    ],
  },
})
