// Vercel AI SDK, Responses API.
//
// `createOpenAI({ baseURL: "http://127.0.0.1:7071/openai/v1", apiKey })(model)`, or
// `createAzure({ baseURL: "http://127.0.0.1:7071/openai", apiKey })(model)`: the default model of both.
import assert from "node:assert/strict";
import { createAzure } from "@ai-sdk/azure";
import { createOpenAI } from "@ai-sdk/openai";
import { Output, embedMany, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const GREETING = "Hello, world! é bye";
const REPORT = { city: "Paris", sky: "rain", degrees: 12 };
const SENTENCE = "It rains in Paris.";
const prompt = "How is the weather in Paris?";
const Weather = z.object({
  city: z.string().max(12),
  sky: z.enum(["clear", "rain"]),
  degrees: z.number().int().min(-60).max(60),
});
const output = Output.object({ schema: Weather });

const openai = (endpoint, key) => createOpenAI({ baseURL: `${endpoint}/openai/v1`, apiKey: key });
const azure = (endpoint, key, more) => createAzure({ baseURL: `${endpoint}/openai`, apiKey: key, ...more });

// The same model by both providers, and by paths with the deployment's name.
function* models(endpoint, key, name) {
  yield openai(endpoint, key)(name);
  yield azure(endpoint, key)(name);
  yield azure(endpoint, key, { useDeploymentBasedUrls: true, apiVersion: "2025-04-01-preview" })(name);
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
      const answer = await generateText(asked(model, { maxOutputTokens: 20, temperature: 0.5 }));
      assert.equal(answer.text, GREETING);
      assert.equal(answer.usage.outputTokens, 10);
      assert.equal(answer.finishReason, "stop");
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
  // The SDK refers to the call by the id of its item.
  tools: async (endpoint, key) => {
    for (const model of models(endpoint, key, "assistant")) {
      const { cities, tools } = weather();
      assert.equal((await generateText(asked(model, { tools }))).text, SENTENCE);
      assert.deepEqual(cities, ["Paris"]);
    }
  },
  streamedTools: async (endpoint, key) => {
    for (const model of models(endpoint, key, "assistant")) {
      const { cities, tools } = weather();
      assert.equal(await streamText(asked(model, { tools, onError: () => {} })).text, SENTENCE);
      assert.deepEqual(cities, ["Paris"]);
    }
  },
  toolsWithoutStore: async (endpoint, key) => {
    const providerOptions = { openai: { store: false }, azure: { store: false } };
    for (const model of models(endpoint, key, "assistant")) {
      const { cities, tools } = weather();
      assert.equal((await generateText(asked(model, { tools, providerOptions }))).text, SENTENCE);
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
    for (const provider of [openai(endpoint, key), azure(endpoint, key)]) {
      const model = provider.embedding("tiny-embed");
      const { embeddings } = await embedMany({ model, values: ["a cat", "a house"], maxRetries: 0 });
      assert.deepEqual(embeddings.map((vector) => vector.length), [16, 16]);
    }
  },
  previousResponse: async (endpoint, key) => {
    for (const model of [openai(endpoint, key)("greeter"), azure(endpoint, key)("greeter")]) {
      const first = await generateText(asked(model));
      const { responseId } = first.providerMetadata.openai ?? first.providerMetadata.azure;
      assert.match(responseId, /^resp_/);
      const previous = { previousResponseId: responseId };
      const second = asked(model, { providerOptions: { openai: previous, azure: previous } });
      assert.equal((await generateText(second)).text, GREETING);
    }
  },
  // Without the reasoning of the first turn the model would call again.
  reasoning: async (endpoint, key) => {
    const sealed = { store: false, include: ["reasoning.encrypted_content"] };
    for (const options of [{}, { forceReasoning: true, reasoningEffort: "low" }, { forceReasoning: true, ...sealed }]) {
      const providerOptions = { openai: options, azure: options };
      for (const model of models(endpoint, key, "thinking-assistant")) {
        for (const ask of [generateText, streamText]) {
          const { cities, tools } = weather();
          const answer = await ask(asked(model, { tools, providerOptions, onError: () => {} }));
          assert.equal(await answer.text, SENTENCE);
          assert.deepEqual(cities, ["Paris"]);
        }
      }
    }
  },
  history: async (endpoint, key) => {
    for (const model of models(endpoint, key, "greeter")) {
      const user = { role: "user", content: prompt };
      const first = await generateText(asked(model));
      const messages = [user, ...first.response.messages, user];
      assert.equal((await generateText({ ...asked(model), prompt: undefined, messages })).text, GREETING);
    }
  },
};
