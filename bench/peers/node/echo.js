const net = require("net");

const LIMIT_S = 120;

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on("data", (chunk) => {
    if (!socket.write(chunk)) socket.pause();
  });
  socket.on("drain", () => socket.resume());
  socket.on("error", () => socket.destroy());
});

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
setTimeout(() => process.exit(0), LIMIT_S * 1000);
