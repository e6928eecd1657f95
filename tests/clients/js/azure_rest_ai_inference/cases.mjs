// Azure AI Inference's REST client for JavaScript.
//
// `ModelClient("http://127.0.0.1:7071", new AzureKeyCredential(key), { allowInsecureConnection: true })`; the option is for
// plain http. The test suite has 42 more cases of this client.
import assert from "node:assert/strict";
import ModelClient, { isUnexpected } from "@azure-rest/ai-inference";
import { AzureKeyCredential } from "@azure/core-auth";
import { createSseStream } from "@azure/core-sse";

const GREETING = "Hello, world! é bye";
const REPORT = { city: "Paris", sky: "rain", degrees: 12 };
const messages = [{ role: "user", content: "How is the weather in Paris?" }];
const text = { type: "string" };
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather of a city.",
      parameters: { type: "object", properties: { city: text }, required: ["city"] },
    },
  },
];
const schema = {
  type: "object",
  properties: {
    city: { type: "string", maxLength: 12 },
    sky: { type: "string", enum: ["clear", "rain"] },
    degrees: { type: "integer", minimum: -60, maximum: 60 },
  },
  required: ["city", "sky", "degrees"],
  additionalProperties: false,
};
const response_format = { type: "json_schema", json_schema: { name: "weather", schema, strict: true } };

const client = (endpoint, key) =>
  ModelClient(endpoint, new AzureKeyCredential(key), { allowInsecureConnection: true });

async function complete(endpoint, key, body) {
  const response = await client(endpoint, key).path("/chat/completions").post({ body: { messages, ...body } });
  assert.ok(!isUnexpected(response), JSON.stringify(response.body));
  return response.body.choices[0].message;
}

// The content of the answer after one call and its result.
async function loop(endpoint, key, body) {
  const called = await complete(endpoint, key, { tools, ...body });
  const [call] = called.tool_calls;
  assert.deepEqual([call.function.name, call.function.arguments], ["get_weather", '{"city": "Paris"}']);
  const result = { role: "tool", tool_call_id: call.id, content: "Rain in Paris." };
  const answer = await complete(endpoint, key, { tools, ...body, messages: [...messages, called, result] });
  return answer.content;
}

export const cases = {
  plain: async (endpoint, key) => {
    assert.equal((await complete(endpoint, key, { model: "greeter" })).content, GREETING);
  },
  stream: async (endpoint, key) => {
    const request = client(endpoint, key)
      .path("/chat/completions")
      .post({ body: { messages, model: "greeter", stream: true } });
    const pieces = [];
    for await (const event of createSseStream((await request.asNodeStream()).body)) {
      if (event.data !== "[DONE]") pieces.push(JSON.parse(event.data).choices[0]?.delta.content ?? "");
    }
    assert.ok(pieces.length > 1);
    assert.equal(pieces.join(""), GREETING);
  },
  tools: async (endpoint, key) => {
    assert.equal(await loop(endpoint, key, { model: "assistant" }), "It rains in Paris.");
  },
  structuredOutput: async (endpoint, key) => {
    const answer = await complete(endpoint, key, { model: "former", response_format });
    assert.deepEqual(JSON.parse(answer.content), REPORT);
  },
  toolsWithForm: async (endpoint, key) => {
    assert.deepEqual(JSON.parse(await loop(endpoint, key, { model: "agent", response_format })), REPORT);
  },
  embeddings: async (endpoint, key) => {
    const { body } = await client(endpoint, key)
      .path("/embeddings")
      .post({ body: { model: "tiny-embed", input: ["a cat", "a house"] } });
    assert.deepEqual(body.data.map((item) => item.embedding.length), [16, 16]);
  },
};
