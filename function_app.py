"""The Azure Functions app: one HTTP trigger a route, each handing its request to the service.

All triggers use the FastAPI extension, because streaming needs it and it cannot be mixed with classic
handlers. They are anonymous to the host: clients of this API send `api-key` or `Authorization`, which the
host does not read and the service checks.
"""

from __future__ import annotations

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from inference.hosts.functions import begin, respond

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

begin()


@app.route(route="info", methods=["GET"])
async def info(req: Request) -> Response:
    """What a deployment is and can do."""
    return await respond(req, "info")


@app.route(route="models", methods=["GET"])
async def models(req: Request) -> Response:
    """Every deployment with its capabilities."""
    return await respond(req, "models")


@app.route(route="chat/completions", methods=["POST"])
async def chat_completions(req: Request) -> Response:
    """The next message of a conversation."""
    return await respond(req, "chat/completions")


@app.route(route="completions", methods=["POST"])
async def completions(req: Request) -> Response:
    """The continuation of a text."""
    return await respond(req, "completions")


@app.route(route="embeddings", methods=["POST"])
async def embeddings(req: Request) -> Response:
    """Texts as vectors."""
    return await respond(req, "embeddings")


@app.route(route="images/embeddings", methods=["POST"])
async def images_embeddings(req: Request) -> Response:
    """Pictures as vectors."""
    return await respond(req, "images/embeddings")


@app.route(route="health", methods=["GET"])
async def health(req: Request) -> Response:
    """Whether the app is up, and which models are open."""
    return await respond(req, "health")


@app.route(route="{*path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def elsewhere(req: Request) -> Response:
    """The same routes under the other base paths, and the refusal of everything else in our own words."""
    return await respond(req, req.path_params.get("path", ""))
