// Sends requests through a recipe until its input ends. Prints a line when the user changes, and at the end what failed.

const [, , recipe, secret] = process.argv;
const pool = require(recipe).pool(secret, { max: 1, maxLifetimeSeconds: 0.1 });
let ended = false;
process.stdin.on('end', () => { ended = true; }).resume();

async function drive() {
  const failures = [];
  let requests = 0, seen;
  while (!ended) {
    requests += 1;
    try {
      const { rows } = await pool.query('SELECT session_user');
      if (rows[0].session_user !== seen) {
        seen = rows[0].session_user;
        console.log(seen);
      }
    } catch (error) {
      failures.push(String(error));
    }
    // lets the event loop see the end of the input, and lifetimes
    await new Promise((next) => { setImmediate(next); });
  }
  console.log(`${failures.length} of ${requests} requests failed ${failures.slice(0, 1)}`);
  await pool.end();
}

drive();
