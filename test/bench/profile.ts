/** `npm run bench -- --profile PEER CASE`: where the CPU time of a Node peer goes under one load. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { CASES } from './cases.ts';
import { folder } from './children.ts';
import { PEERS } from './peers/registry.ts';
import { hasPerf, perfFlags, readPerf, record } from './profile-perf.ts';
import { cpuProfFlags, readCpuProf } from './profile-v8.ts';
import { createDriver } from './rounds.ts';
import { setStage } from './stage.ts';

const WARM_MS = 3000;
const EXIT_MS = 20_000;
/** perf needs a moment to attach and to write. */
const MARGIN_MS = 1000;

/** Runs the load for so many seconds under perf, or under --cpu-prof where there is no perf, and returns the tables. */
export const profile = async (peerName: string, caseName: string, seconds: number): Promise<string> => {
  const peer = PEERS.find((one) => one.name === peerName);
  const which = CASES.find((one) => one.name === caseName);
  if (!peer || !which) throw new Error(`there is no ${peer ? `case "${caseName}"` : `peer "${peerName}"`}`);
  const absent = peer.absent();
  if (absent !== undefined) throw new Error(absent);
  const directory = join(folder, 'profile');
  mkdirSync(directory);
  const perf = hasPerf();
  const stage = await setStage(perf ? perfFlags : cpuProfFlags(directory));
  const started = await peer.start(stage);
  const { pid } = started.running;
  const driver = createDriver(stage.origin, stage.originCa);
  const pace = { rounds: 1, warmMs: WARM_MS, maxRequests: 1_000_000, until: Number.MAX_VALUE };
  const contender = { name: peer.name, started, oneShot: false };
  await driver.round(which, contender, { ...pace, runMs: 1 });
  const recording = perf ? await record(pid, seconds + (WARM_MS - MARGIN_MS) / 1000) : undefined;
  const round = await driver.round(which, contender, { ...pace, runMs: seconds * 1000 + MARGIN_MS });
  await recording?.exited;
  driver.stop();
  await started.running.stop(EXIT_MS);
  return [
    `${peer.name}, ${which.title}: ${round.requests} requests, ${round.errors} errors, ` +
      `${round.cpuUsPerRequest.toFixed(1)} us of CPU a request (profiler included)`,
    perf
      ? readPerf(pid, round.cpuUsPerRequest)
      : `By --cpu-prof, perf is not installed:\n\n${readCpuProf(directory, round.elapsedMs, round.requests)}`,
  ].join('\n\n');
};
