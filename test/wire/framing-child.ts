/** A proxy in a process of its own, for flags of Node that hold for a whole process. Ends with its parent's channel. */
import { startProxy } from '../support/proxy.ts';

const proxy = await startProxy();
process.on('message', () => process.send?.({ bugs: proxy.bugs.map(String) }));
process.on('disconnect', () => {
  void proxy.close().then(() => process.exit(0));
});
process.send?.({ port: proxy.port, execArgv: process.execArgv });
