// Conversations, whole and streamed.
import { SAY, TOOL, chat, report, streamed, whole } from "./client.mjs";

const WEATHER = [{ role: "user", content: "How is the weather in Paris?" }];

async function conversationWithTool() {
  const asked = await whole(chat({ model: "caller", messages: WEATHER, tools: [TOOL] }));
  const { message } = asked.body.choices[0];
  const told = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "Rain." };
  return { asked, answered: await whole(chat({ messages: [...WEATHER, message, told] })) };
}

await report({
  whole: () => whole(chat({ temperature: 0.5, max_tokens: 20, top_p: 0.9, stop: ["."], seed: 3 })),
  streamed: () => streamed(chat({ stream: true })),
  usageApart: () =>
    streamed(
      chat(
        { stream: true, stream_options: { include_usage: true } },
        { headers: { "extra-parameters": "pass-through" } },
      ),
    ),
  parts: () =>
    whole(chat({ messages: [{ role: "user", content: [{ type: "text", text: "Say something." }] }] })),
  developer: () => whole(chat({ messages: [{ role: "developer", content: "Be kind." }, ...SAY] })),
  conversationWithTool,
  streamedToolCall: () => streamed(chat({ model: "caller", messages: WEATHER, tools: [TOOL], stream: true })),
  passThrough: () => whole(chat({ n: 2 }, { headers: { "extra-parameters": "pass-through" } })),
  allow: () => whole(chat({ n: 2 }, { headers: { "extra-parameters": "allow" } })),
  drop: () => whole(chat({ n: 2, wisdom: 3 }, { headers: { "extra-parameters": "drop" } })),
  foundryBase: () => whole(chat({}, { base: "/models" })),
  deploymentBase: () => streamed(chat({ model: undefined, stream: true }, { base: "/deployments/greeter" })),
  azureOpenAIBase: () => whole(chat({ model: undefined }, { base: "/openai/deployments/greeter" })),
  oldVersion: () => whole(chat({}, { options: { apiVersion: "2024-04-01-preview" } })),
  newVersion: () => whole(chat({}, { options: { apiVersion: "2025-04-01" } })),
  brokenOff: () => streamed(chat({ model: "breaker", stream: true })),
});
