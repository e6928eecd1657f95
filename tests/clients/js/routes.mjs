// Every other route.
import { client, report, streamed, whole } from "./client.mjs";

const DOT =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const embed = (body) => whole(client().path("/embeddings").post({ body: { model: "tiny-embed", ...body } }));
const look = (body) =>
  whole(client().path("/images/embeddings").post({ body: { model: "tiny-images", ...body } }));
// The package knows no `/completions`; `pathUnchecked` is its way to a route of one's own.
const complete = (body) =>
  client().pathUnchecked("/completions").post({ body: { model: "greeter", prompt: "Once", ...body } });

await report({
  info: () => whole(client("/deployments/greeter").path("/info").get()),
  infoOfEmbeddings: () => whole(client("/deployments/tiny-embed").path("/info").get()),
  infoOfImages: () => whole(client("/deployments/tiny-images").path("/info").get()),
  infoByQuery: () => whole(client().path("/info").get({ queryParameters: { model: "greeter" } })),
  embeddings: () => embed({ input: ["a cat", "a house"], input_type: "document" }),
  embeddingsInBase64: () => embed({ input: ["a cat"], encoding_format: "base64" }),
  embeddingsInBytes: () => embed({ input: ["a cat"], encoding_format: "int8" }),
  embeddingsShortened: () => embed({ input: ["a cat"], dimensions: 8 }),
  pictures: () => look({ input: [{ image: DOT }, { image: DOT }] }),
  completions: async () => {
    const { status, body } = await complete({ max_tokens: 20 });
    return { status, body };
  },
  streamedCompletions: () => streamed(complete({ stream: true })),
});
