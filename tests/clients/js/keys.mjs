// Credentials, at an endpoint that wants a key.
import { AzureKeyCredential } from "@azure/core-auth";
import { SAY, client, key, report, whole } from "./client.mjs";

const token = { getToken: async () => ({ token: key, expiresOnTimestamp: Date.now() + 3_600_000 }) };
const ask = (credential) =>
  whole(
    client("", {}, credential)
      .path("/chat/completions")
      .post({ body: { messages: SAY, max_tokens: 1 } }),
  );

await report({
  key: () => ask(new AzureKeyCredential(key)),
  token: () => ask(token),
  wrongKey: () => ask(new AzureKeyCredential("wrong")),
  wrongKeyForInfo: () => whole(client("", {}, new AzureKeyCredential("wrong")).path("/info").get()),
});
