// Vercel AI SDK.
//
// `createOpenAICompatible({ name, baseURL: "http://127.0.0.1:7071/openai/v1", apiKey, supportsStructuredOutputs: true })`, or
// `createOpenAI({ baseURL, apiKey }).chat(model)`. Without `supportsStructuredOutputs` the first asks for any JSON object.
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, embedMany, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const GREETING = "Hello, world! é bye";
const REPORT = { city: "Paris", sky: "rain", degrees: 12 };
const prompt = "How is the weather in Paris?";
const Weather = z.object({
  city: z.string().max(12),
  sky: z.enum(["clear", "rain"]),
  degrees: z.number().int().min(-60).max(60),
});
const output = Output.object({ schema: Weather });

function provider(endpoint, key) {
  const baseURL = `${endpoint}/openai/v1`;
  return createOpenAICompatible({ name: "inference", baseURL, apiKey: key, supportsStructuredOutputs: true });
}

// The same model by both providers.
function* models(endpoint, key, name) {
  yield provider(endpoint, key)(name);
  yield createOpenAI({ baseURL: `${endpoint}/openai/v1`, apiKey: key }).chat(name);
}

const asked = (model, more) => ({ model, prompt, maxRetries: 0, stopWhen: stepCountIs(3), ...more });

// A tool, and the cities that it was called with.
function weather() {
  const cities = [];
  const get_weather = tool({
    description: "The weather of a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => {
      cities.push(city);
      return `Rain in ${city}.`;
    },
  });
  return { cities, tools: { get_weather } };
}

export const cases = {
  plain: async (endpoint, key) => {
    for (const model of models(endpoint, key, "greeter")) {
      assert.equal((await generateText(asked(model))).text, GREETING);
    }
  },
  stream: async (endpoint, key) => {
    for (const model of models(endpoint, key, "greeter")) {
      const pieces = [];
      for await (const piece of streamText(asked(model)).textStream) pieces.push(piece);
      assert.ok(pieces.length > 1);
      assert.equal(pieces.join(""), GREETING);
    }
  },
  tools: async (endpoint, key) => {
    for (const model of models(endpoint, key, "assistant")) {
      const { cities, tools } = weather();
      assert.equal((await generateText(asked(model, { tools }))).text, "It rains in Paris.");
      assert.deepEqual(cities, ["Paris"]);
    }
  },
  structuredOutput: async (endpoint, key) => {
    for (const model of models(endpoint, key, "former")) {
      assert.deepEqual((await generateText(asked(model, { output }))).output, REPORT);
    }
  },
  toolsWithForm: async (endpoint, key) => {
    for (const model of models(endpoint, key, "agent")) {
      const { cities, tools } = weather();
      assert.deepEqual((await generateText(asked(model, { tools, output }))).output, REPORT);
      assert.deepEqual(cities, ["Paris"]);
    }
  },
  streamedToolsWithForm: async (endpoint, key) => {
    for (const model of models(endpoint, key, "agent")) {
      const { cities, tools } = weather();
      assert.deepEqual(await streamText(asked(model, { tools, output, onError: () => {} })).output, REPORT);
      assert.deepEqual(cities, ["Paris"]);
    }
  },
  embeddings: async (endpoint, key) => {
    const model = provider(endpoint, key).embeddingModel("tiny-embed");
    const { embeddings } = await embedMany({ model, values: ["a cat", "a house"], maxRetries: 0 });
    assert.deepEqual(embeddings.map((vector) => vector.length), [16, 16]);
  },
};
