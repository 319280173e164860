// What a client from npm says to the simulator and hears from it: a list of requests on standard input as JSON,
// a list of answers on standard output. Each answer is {rows: [...]} or {error: "..."}; the requests of one inner list
// are sent at once, tagged.
const { RouterOSAPI } = require("routeros-api");

async function main() {
  const { port, password, rounds } = JSON.parse(require("fs").readFileSync(0, "utf8"));
  const router = new RouterOSAPI({ host: "127.0.0.1", port, user: "wisp", password, timeout: 5 });
  await router.connect();
  const ask = (words) => router.write(words).then((rows) => ({ rows }), (error) => ({ error: error.message }));
  const answers = [];
  for (const round of rounds) answers.push(await Promise.all(round.map(ask)));
  await router.close();
  process.stdout.write(JSON.stringify(answers));
}

main().then(() => process.exit(0), (error) => {
  process.stderr.write(String(error.message || error));
  process.exit(1);
});
