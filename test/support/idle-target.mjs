// A target in a process of its own that has nothing else to do than to note when a request came.
import { createServer } from 'node:net';

/** Milliseconds since 1970. */
let visits = [];

const server = createServer((socket) => {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  let text = '';
  socket.on('data', (chunk) => {
    const at = Date.now();
    text += chunk.toString('latin1');
    if (!text.endsWith('\r\n\r\n')) return;
    text = '';
    visits.push(at);
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine');
  });
});

server.listen(0, '0.0.0.0', () => process.send?.({ port: server.address().port }));
process.on('message', () => {
  process.send?.({ visits });
  visits = [];
});
process.on('disconnect', () => process.exit());
