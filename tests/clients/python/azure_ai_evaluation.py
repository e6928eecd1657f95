"""Azure AI Evaluation with text.

Up to version 1.16 its evaluators ask for text with marks in it; an answer without a score gives NaN. Model
configurations of both types work. Its prompts are too long for `starter-chat` (fluency: 2367 tokens).
"""

import json
import math
import tempfile
from pathlib import Path

from azure.ai.evaluation import (
    AzureOpenAIModelConfiguration,
    FluencyEvaluator,
    OpenAIModelConfiguration,
    SimilarityEvaluator,
    evaluate,
)

LACKS = ("plain", "stream", "tools", "structured_output", "tools_with_form", "embeddings")
RESPONSE = "The cat sat on the mat."


def openai_config(endpoint, key, model="judge"):
    return OpenAIModelConfiguration(type="openai", model=model, base_url=f"{endpoint}/openai/v1", api_key=key)


def azure_config(endpoint, key, model="judge"):
    return AzureOpenAIModelConfiguration(
        type="azure_openai",
        azure_endpoint=endpoint,
        azure_deployment=model,
        api_key=key,
        api_version="2024-10-21",
    )


def case_fluency_over_openai_v1(endpoint, key):
    verdict = FluencyEvaluator(openai_config(endpoint, key))(response=RESPONSE)
    assert verdict["fluency"] == 4.0
    assert verdict["fluency_reason"]


def case_fluency_over_azure(endpoint, key):
    assert FluencyEvaluator(azure_config(endpoint, key))(response=RESPONSE)["fluency"] == 4.0


def case_similarity(endpoint, key):
    verdict = SimilarityEvaluator(openai_config(endpoint, key, "rater"))(
        query="Where is the cat?", response=RESPONSE, ground_truth="On the mat."
    )
    assert verdict["similarity"] == 4.0


def case_answer_without_a_score_is_nan(endpoint, key):
    verdict = FluencyEvaluator(openai_config(endpoint, key, "undecided"))(response=RESPONSE)
    assert math.isnan(verdict["fluency"])


def case_evaluate_over_rows(endpoint, key):
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.jsonl"
        data.write_text("".join(json.dumps({"response": f"{RESPONSE} {n}"}) + "\n" for n in range(3)))
        result = evaluate(data=data, evaluators={"fluency": FluencyEvaluator(openai_config(endpoint, key))})
    assert result["metrics"]["fluency.fluency"] == 4.0
    assert len(result["rows"]) == 3
