"""The program behind assumptions.sh: what must be true of Google Cloud and Stripe for this service to be right, checked on a project
and an account of tests. Python's standard library and gcloud only.

facts.json is the list. Each `check_*.py` has the checks of one subject; a check is a function with the id of its fact.
"""
