// OpenAI's package for JavaScript, Responses API.
//
// `new OpenAI({ baseURL: "http://127.0.0.1:7071/openai/v1", apiKey }).responses`, or `new AzureOpenAI({ endpoint, apiKey, apiVersion })`.
import assert from "node:assert/strict";
import OpenAI, { AzureOpenAI } from "openai";
import { zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

export const lacks = ["embeddings"];

const GREETING = "Hello, world! é bye";
const REPORT = { city: "Paris", sky: "rain", degrees: 12 };
const SENTENCE = "It rains in Paris.";
const Weather = z.object({
  city: z.string().max(12),
  sky: z.enum(["clear", "rain"]),
  degrees: z.number().int().min(-60).max(60),
});
const input = "How is the weather in Paris?";
const text = { format: zodTextFormat(Weather, "weather") };
const tools = [zodResponsesFunction({ name: "get_weather", parameters: z.object({ city: z.string() }) })];

const responses = (endpoint, key) =>
  new OpenAI({ baseURL: `${endpoint}/openai/v1`, apiKey: key, maxRetries: 0 }).responses;

// The result of the one call of a response.
function resultOf(response) {
  const [call, ...more] = response.output.filter((item) => item.type === "function_call");
  assert.equal(more.length, 0);
  assert.deepEqual(call.parsed_arguments, { city: "Paris" });
  return { type: "function_call_output", call_id: call.call_id, output: "Rain in Paris." };
}

export const cases = {
  plain: async (endpoint, key) => {
    const answer = await responses(endpoint, key).create({ model: "greeter", input, max_output_tokens: 20 });
    assert.equal(answer.output_text, GREETING);
    assert.equal(answer.usage.output_tokens, 10);
  },
  stream: async (endpoint, key) => {
    const stream = await responses(endpoint, key).create({ model: "greeter", input, stream: true });
    const events = [];
    for await (const event of stream) events.push(event);
    assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
    const deltas = events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta);
    assert.ok(deltas.length > 1);
    assert.equal(deltas.join(""), GREETING);
    assert.equal(events.at(-1).type, "response.completed");
  },
  streamHelper: async (endpoint, key) => {
    const deltas = [];
    const stream = responses(endpoint, key).stream({ model: "greeter", input });
    stream.on("response.output_text.delta", (event) => deltas.push(event.delta));
    assert.equal((await stream.finalResponse()).output_text, GREETING);
    assert.equal(deltas.join(""), GREETING);
  },
  tools: async (endpoint, key) => {
    const made = responses(endpoint, key);
    const asked = { model: "assistant", tools, store: false };
    const first = await made.parse({ input, ...asked });
    const output = first.output.map(({ parsed_arguments, ...item }) => item);
    const history = [{ role: "user", content: input }, ...output, resultOf(first)];
    assert.equal((await made.parse({ input: history, ...asked })).output_text, SENTENCE);
  },
  toolsByPreviousResponse: async (endpoint, key) => {
    const made = responses(endpoint, key);
    const asked = { model: "assistant", tools };
    const first = await made.parse({ input, ...asked });
    const second = await made.parse({ input: [resultOf(first)], previous_response_id: first.id, ...asked });
    assert.equal(second.output_text, SENTENCE);
    assert.equal(second.previous_response_id, first.id);
  },
  structuredOutput: async (endpoint, key) => {
    const answer = await responses(endpoint, key).parse({ model: "former", input, text });
    assert.deepEqual(answer.output_parsed, REPORT);
  },
  toolsWithForm: async (endpoint, key) => {
    const made = responses(endpoint, key);
    const asked = { model: "agent", tools, text };
    const first = await made.parse({ input, ...asked });
    const second = await made.parse({ input: [resultOf(first)], previous_response_id: first.id, ...asked });
    assert.deepEqual(second.output_parsed, REPORT);
  },
  streamedToolsWithForm: async (endpoint, key) => {
    const made = responses(endpoint, key);
    const asked = { model: "agent", tools, text };
    const first = await made.stream({ input, ...asked }).finalResponse();
    const stream = made.stream({ input: [resultOf(first)], previous_response_id: first.id, ...asked });
    assert.deepEqual((await stream.finalResponse()).output_parsed, REPORT);
  },
  // Without the reasoning of the first turn the model would call again.
  reasoning: async (endpoint, key) => {
    const made = responses(endpoint, key);
    const asked = { model: "thinking-assistant", tools, reasoning: { effort: "low" } };
    const kept = await made.parse({ input, ...asked });
    const second = await made.parse({ input: [resultOf(kept)], previous_response_id: kept.id, ...asked });
    assert.equal(second.output_text, SENTENCE);
    const sealed = { ...asked, store: false, include: ["reasoning.encrypted_content"] };
    const deltas = [];
    const stream = made.stream({ input, ...sealed });
    stream.on("response.reasoning_text.delta", (event) => deltas.push(event.delta));
    const first = await stream.finalResponse();
    assert.equal(deltas.join(""), "Let me think about Paris.");
    const output = first.output.map(({ parsed_arguments, content, ...item }) => item);
    const history = [{ role: "user", content: input }, ...output, resultOf(first)];
    assert.equal((await made.parse({ input: history, ...sealed })).output_text, SENTENCE);
  },
  kept: async (endpoint, key) => {
    const made = responses(endpoint, key);
    const first = await made.create({ model: "greeter", input });
    const second = await made.create({ model: "greeter", input: "And now?", previous_response_id: first.id });
    assert.equal((await made.retrieve(first.id)).output_text, GREETING);
    const said = [];
    for await (const item of made.inputItems.list(second.id, { order: "asc", limit: 1 })) said.push(item.content[0].text);
    assert.deepEqual(said, [input, GREETING, "And now?"]);
    await made.delete(first.id);
    await assert.rejects(made.retrieve(first.id), OpenAI.NotFoundError);
  },
  azure: async (endpoint, key) => {
    const azure = new AzureOpenAI({ endpoint, apiKey: key, apiVersion: "2025-04-01-preview", maxRetries: 0 });
    const answer = await azure.responses.create({ model: "greeter", input });
    assert.equal(answer.output_text, GREETING);
  },
  wrongValue: async (endpoint, key) => {
    const asked = responses(endpoint, key).create({ model: "greeter", input, tools: [{ type: "web_search" }] });
    await assert.rejects(asked, (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError, error.message);
      assert.equal(error.param, "tools[0].type");
      return error.message.includes("web_search");
    });
  },
};
