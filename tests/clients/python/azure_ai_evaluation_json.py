"""azure-ai-evaluation from 1.17, whose evaluators ask for a JSON object.

No generating backend has a JSON mode so far. The package repeats a 422 three times before it gives up.
"""

from azure.ai.evaluation import FluencyEvaluator, OpenAIModelConfiguration


def case_evaluators_want_json_mode(endpoint, key):
    config = OpenAIModelConfiguration(
        type="openai", model="judge", base_url=f"{endpoint}/openai/v1", api_key=key
    )
    try:
        verdict = FluencyEvaluator(config)(response="The cat sat on the mat.")
    except Exception as refused:
        assert "422" in str(refused)
        return "refused with 422: stay with 1.16.9"
    raise AssertionError(f"a format that the deployment lacks was taken: {verdict}")
