// OpenAI's package for JavaScript.
//
// `new OpenAI({ baseURL: "http://127.0.0.1:7071/openai/v1", apiKey })`, or `new AzureOpenAI({ endpoint, apiKey, apiVersion })`.
import assert from "node:assert/strict";
import OpenAI, { AzureOpenAI } from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const GREETING = "Hello, world! é bye";
const REPORT = { city: "Paris", sky: "rain", degrees: 12 };
const Weather = z.object({
  city: z.string().max(12),
  sky: z.enum(["clear", "rain"]),
  degrees: z.number().int().min(-60).max(60),
});
const messages = [{ role: "user", content: "How is the weather in Paris?" }];
const response_format = zodResponseFormat(Weather, "weather");

const client = (endpoint, key) => new OpenAI({ baseURL: `${endpoint}/openai/v1`, apiKey: key, maxRetries: 0 });

// A tool that the package calls by itself, and the cities that it was called with.
function weather() {
  const cities = [];
  const tool = zodFunction({
    name: "get_weather",
    parameters: z.object({ city: z.string() }),
    function: ({ city }) => {
      cities.push(city);
      return `Rain in ${city}.`;
    },
  });
  return { cities, tools: [tool] };
}

export const cases = {
  plain: async (endpoint, key) => {
    const answer = await client(endpoint, key).chat.completions.create({ model: "greeter", messages });
    assert.equal(answer.choices[0].message.content, GREETING);
  },
  stream: async (endpoint, key) => {
    const stream = await client(endpoint, key).chat.completions.create({ model: "greeter", messages, stream: true });
    const pieces = [];
    for await (const chunk of stream) pieces.push(chunk.choices[0]?.delta.content ?? "");
    assert.ok(pieces.length > 1);
    assert.equal(pieces.join(""), GREETING);
  },
  tools: async (endpoint, key) => {
    const { cities, tools } = weather();
    const runner = client(endpoint, key).chat.completions.runTools({ model: "assistant", messages, tools });
    assert.equal(await runner.finalContent(), "It rains in Paris.");
    assert.deepEqual(cities, ["Paris"]);
  },
  structuredOutput: async (endpoint, key) => {
    const answer = await client(endpoint, key).chat.completions.parse({ model: "former", messages, response_format });
    assert.deepEqual(answer.choices[0].message.parsed, REPORT);
  },
  toolsWithForm: async (endpoint, key) => {
    const { cities, tools } = weather();
    const asked = { model: "agent", messages, tools, response_format };
    const runner = client(endpoint, key).chat.completions.runTools(asked);
    assert.deepEqual(JSON.parse(await runner.finalContent()), REPORT);
    assert.deepEqual(cities, ["Paris"]);
  },
  streamedToolsWithForm: async (endpoint, key) => {
    const { cities, tools } = weather();
    const asked = { model: "agent", messages, tools, response_format, stream: true };
    const runner = client(endpoint, key).chat.completions.runTools(asked);
    assert.deepEqual(JSON.parse(await runner.finalContent()), REPORT);
    assert.deepEqual(cities, ["Paris"]);
  },
  embeddings: async (endpoint, key) => {
    const answer = await client(endpoint, key).embeddings.create({ model: "tiny-embed", input: ["a cat", "a house"] });
    assert.deepEqual(answer.data.map((item) => item.embedding.length), [16, 16]);
  },
  record: async (endpoint, key) => {
    const Record = z.object({ degrees: z.record(z.string(), z.number().int().min(0).max(9)) });
    const answer = await client(endpoint, key).chat.completions.create({
      model: "babbler",
      messages,
      max_tokens: 100,
      response_format: {
        type: "json_schema",
        json_schema: { name: "record", schema: z.toJSONSchema(Record), strict: true },
      },
    });
    assert.ok(answer.choices[0].message.content.startsWith('{"degrees": {'));
  },
  azure: async (endpoint, key) => {
    const azure = new AzureOpenAI({ endpoint, apiKey: key, apiVersion: "2024-10-21" });
    const answer = await azure.chat.completions.create({ model: "greeter", messages });
    assert.equal(answer.choices[0].message.content, GREETING);
  },
  wrongValue: async (endpoint, key) => {
    const asked = client(endpoint, key).chat.completions.create({ model: "greeter", messages, temperature: 5 });
    await assert.rejects(asked, (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError, error.message);
      assert.equal(error.param, "temperature");
      return error.message.includes("temperature");
    });
  },
};
