// What the scripts share. Called as `node SCRIPT.mjs ENDPOINT [KEY]`; prints one JSON object, a key a case.
import ModelClient, { isUnexpected } from "@azure-rest/ai-inference";
import { AzureKeyCredential } from "@azure/core-auth";
import { createSseStream } from "@azure/core-sse";
import { text } from "node:stream/consumers";

export const [endpoint, key = "any"] = process.argv.slice(2);
export const SAY = [{ role: "user", content: "Say something." }];
export const TOOL = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

export function client(base = "", options = {}, credential = new AzureKeyCredential(key)) {
  return ModelClient(endpoint + base, credential, { allowInsecureConnection: true, ...options });
}

export function chat(body, { base = "", headers = {}, options = {} } = {}) {
  return client(base, options)
    .path("/chat/completions")
    .post({ headers, body: { messages: SAY, model: "greeter", ...body } });
}

export async function whole(request) {
  const response = await request;
  return {
    status: response.status,
    unexpected: isUnexpected(response),
    body: response.body,
    headers: response.headers,
  };
}

// The chunks of a stream as the package's own samples read them, and how the stream ended.
export async function streamed(request) {
  const response = await request.asNodeStream();
  const read = { status: response.status, type: response.headers["content-type"], chunks: [], done: false };
  if (response.status !== "200") return { ...read, body: JSON.parse(await text(response.body)) };
  try {
    for await (const event of createSseStream(response.body)) {
      if (event.data === "[DONE]") read.done = true;
      else read.chunks.push(JSON.parse(event.data));
    }
  } catch (error) {
    read.thrown = { name: error.name, code: error.code, message: error.message };
  }
  return read;
}

export async function report(cases) {
  const results = {};
  for (const [name, run] of Object.entries(cases)) {
    try {
      results[name] = await run();
    } catch (error) {
      results[name] = { thrown: { name: error.name, code: error.code, message: error.message } };
    }
  }
  console.log(JSON.stringify(results));
}
