// Runs the server audit of `graphql-http` and prints one JSON object an audit.
import { auditServer } from "graphql-http";

const [url, token] = process.argv.slice(2);
const fetchFn = (target, init = {}) =>
  fetch(target, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } });

for (const { id, name, status, reason } of await auditServer({ url, fetchFn })) {
  console.log(JSON.stringify({ id, name, status, reason }));
}
