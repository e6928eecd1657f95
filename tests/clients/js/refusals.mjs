// What is refused, and how the package shows it.
import { chat, client, report, streamed, whole } from "./client.mjs";

const embed = (body) => whole(client().path("/embeddings").post({ body: { model: "tiny-embed", ...body } }));

await report({
  unknownParameter: () => whole(chat({ wisdom: 3, luck: 4 })),
  unknownParameterPassedThrough: () =>
    whole(chat({ wisdom: 3 }, { headers: { "extra-parameters": "pass-through" } })),
  strangeHeader: () => whole(chat({ wisdom: 3 }, { headers: { "extra-parameters": "maybe" } })),
  unsupportedFormat: () => whole(chat({ response_format: { type: "json_object" } })),
  unsupportedFormatStreamed: () => streamed(chat({ response_format: { type: "json_object" }, stream: true })),
  wrongValue: () => whole(chat({ temperature: 3 })),
  noMessages: () => whole(chat({ messages: [] })),
  picture: () =>
    whole(
      chat({
        messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:image/png;base64,AA==" } }] }],
      }),
    ),
  unknownModel: () => whole(chat({ model: "nobody" })),
  noModel: () => whole(chat({ model: undefined })),
  otherRoute: () => whole(client("/deployments/tiny-embed").path("/chat/completions").post({ body: { messages: [] } })),
  embeddingsOfNothing: () => embed({ input: [] }),
  embeddingsTooShort: () => embed({ input: ["a cat"], dimensions: 3 }),
  picturesThatAreNone: () =>
    whole(
      client()
        .path("/images/embeddings")
        .post({ body: { model: "tiny-images", input: [{ image: "data:image/png;base64,AAAA" }] } }),
    ),
  infoOfNobody: () => whole(client("/deployments/nobody").path("/info").get()),
  strangeVersion: () => whole(chat({}, { options: { apiVersion: "yesterday" } })),
  plainHttp: () => whole(chat({}, { options: { allowInsecureConnection: false } })),
});
