"""Azure AI Evaluation with JSON.

From version 1.17 on its evaluators ask for a JSON object with a score in it, of a deployment whose card
declares `response_format`. JSON mode promises the object only: one without a score gives NaN and the result
`unknown`, one that is cut after the 800 tokens that the package asks for makes it raise `JSONDecodeError`.
"""

import json
import math
import tempfile
from pathlib import Path

from azure.ai.evaluation import (
    AzureOpenAIModelConfiguration,
    CoherenceEvaluator,
    FluencyEvaluator,
    OpenAIModelConfiguration,
    SimilarityEvaluator,
    evaluate,
)

LACKS = ("plain", "stream", "tools", "structured_output", "tools_with_form", "embeddings")
RESPONSE = "The cat sat on the mat."


def openai_config(endpoint, key, model="json-judge"):
    return OpenAIModelConfiguration(type="openai", model=model, base_url=f"{endpoint}/openai/v1", api_key=key)


def case_fluency_over_openai_v1(endpoint, key):
    verdict = FluencyEvaluator(openai_config(endpoint, key))(response=RESPONSE)
    assert (verdict["fluency"], verdict["fluency_result"]) == (4.0, "pass")
    assert verdict["fluency_reason"] == "It reads well."


def case_fluency_over_azure(endpoint, key):
    config = AzureOpenAIModelConfiguration(
        type="azure_openai",
        azure_endpoint=endpoint,
        azure_deployment="json-judge",
        api_key=key,
        api_version="2024-10-21",
    )
    assert FluencyEvaluator(config)(response=RESPONSE)["fluency"] == 4.0


def case_similarity_and_coherence(endpoint, key):
    config, query = openai_config(endpoint, key), "Where is the cat?"
    similar = SimilarityEvaluator(config)(query=query, response=RESPONSE, ground_truth="On the mat.")
    assert similar["similarity"] == 4.0
    assert CoherenceEvaluator(config)(query=query, response=RESPONSE)["coherence"] == 4.0


def case_evaluate_over_rows(endpoint, key):
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.jsonl"
        data.write_text("".join(json.dumps({"response": f"{RESPONSE} {n}"}) + "\n" for n in range(3)))
        result = evaluate(data=data, evaluators={"fluency": FluencyEvaluator(openai_config(endpoint, key))})
    assert result["metrics"]["fluency.fluency"] == 4.0
    assert len(result["rows"]) == 3


def case_object_without_a_score_is_nan(endpoint, key):
    verdict = FluencyEvaluator(openai_config(endpoint, key, "json-undecided"))(response=RESPONSE)
    assert math.isnan(verdict["fluency"])
    assert (verdict["fluency_passed"], verdict["fluency_result"]) == (False, "unknown")


def case_object_cut_by_max_tokens_is_raised(endpoint, key):
    """The package asks for at most 800 tokens and parses whatever it gets."""
    try:
        verdict = FluencyEvaluator(openai_config(endpoint, key, "json-rambler"))(response=RESPONSE)
    except json.JSONDecodeError:
        return "JSONDecodeError"
    raise AssertionError(f"half an object was taken: {verdict}")


def case_deployment_without_json_mode(endpoint, key):
    try:
        verdict = FluencyEvaluator(openai_config(endpoint, key, "judge"))(response=RESPONSE)
    except Exception as refused:
        assert "400" in str(refused)
    else:
        raise AssertionError(f"a format that the deployment lacks was taken: {verdict}")
