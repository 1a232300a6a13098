// Verifies messages with the library for JavaScript: [{secret, headers, body}] on standard input.
import { Webhook } from "standardwebhooks";

let given = "";
for await (const part of process.stdin) given += part;
const verified = JSON.parse(given).map(({ secret, headers, body }) => {
  try {
    new Webhook(secret).verify(body, headers);
    return "valid";
  } catch (error) {
    return error.message;
  }
});
console.log(JSON.stringify(verified));
