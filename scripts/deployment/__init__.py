"""What create-all-jobs.sh, run-job.sh and list-jobs.sh share. Python's standard library and gcloud only.

Changes that gcloud has a command for are made by gcloud. Everything is read straight from the services' REST interfaces
with gcloud's own credentials, proxy and endpoints, because gcloud has no command that reads many IAM policies at once: one
call of gcloud instead of twenty, which take a second each.
"""
