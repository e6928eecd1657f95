"""Content safety: policies, verdicts, moderators, and the filters of requests and answers.

Moderators are Azure AI Content Safety, a classifier deployment, and blocklists on this machine. No module
here knows HTTP routes, files of models, or tokens.
"""
