"""The Azure Functions app: one HTTP trigger for each route, and one for every other path.

All triggers use the FastAPI extension, because streaming needs it and it cannot be mixed with classic
handlers. The host authenticates none of them: clients of this API send `api-key` or `Authorization`, which
the service checks and the host ignores.
"""

from __future__ import annotations

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from inference.hosts.functions import respond, start_downloads

READ = ["GET", "HEAD", "OPTIONS"]
CREATE = ["POST", "OPTIONS"]
ALL = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
"""Every method that the host knows: what is not served is refused with 405 and what is."""

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

start_downloads()


@app.route(route="info", methods=READ)
async def info(req: Request) -> Response:
    """Return the properties and capabilities of a deployment."""
    return await respond(req, "info")


@app.route(route="models", methods=READ)
async def models(req: Request) -> Response:
    """Return every deployment with its capabilities."""
    return await respond(req, "models")


@app.route(route="chat/completions", methods=CREATE)
async def chat_completions(req: Request) -> Response:
    """Generate the next message of a conversation."""
    return await respond(req, "chat/completions")


@app.route(route="completions", methods=CREATE)
async def completions(req: Request) -> Response:
    """Generate the continuation of a text."""
    return await respond(req, "completions")


@app.route(route="embeddings", methods=CREATE)
async def embeddings(req: Request) -> Response:
    """Return the vectors of texts."""
    return await respond(req, "embeddings")


@app.route(route="images/embeddings", methods=CREATE)
async def images_embeddings(req: Request) -> Response:
    """Return the vectors of images."""
    return await respond(req, "images/embeddings")


@app.route(route="rerank", methods=CREATE)
async def rerank(req: Request) -> Response:
    """Rank documents by their relevance to a query."""
    return await respond(req, "rerank")


@app.route(route="classify", methods=CREATE)
async def classify(req: Request) -> Response:
    """Return the labels of texts with their scores."""
    return await respond(req, "classify")


@app.route(route="embed_sparse", methods=CREATE)
async def embed_sparse(req: Request) -> Response:
    """Return texts as the weights of tokens."""
    return await respond(req, "embed_sparse")


@app.route(route="health", methods=READ)
async def health(req: Request) -> Response:
    """Return the state of the app and of its models."""
    return await respond(req, "health")


@app.route(route="{*path}", methods=ALL)
async def elsewhere(req: Request) -> Response:
    """Serve the routes under their other base paths, and refuse every other path with this API's errors."""
    return await respond(req, req.path_params.get("path", ""))
