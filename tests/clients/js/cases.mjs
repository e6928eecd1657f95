// Runs the cases of one client, which lies beside this file as client.mjs; its lines are those of cases.py.
import * as client from "./client.mjs";

const [endpoint, key] = process.argv.slice(2);
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

for (const [name, run] of Object.entries(client.cases)) {
  let outcome;
  try {
    outcome = { passed: true, remark: (await run(endpoint, key)) ?? "" };
  } catch (error) {
    outcome = { passed: false, remark: `${error.stack}\n${error.message.replaceAll("\n", " ")}` };
  }
  console.log(`\n\x1ecase ${JSON.stringify({ case: snake(name), ...outcome })}`);
}
process.exit(0);
