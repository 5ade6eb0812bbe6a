"""The programs behind create-all-jobs.sh, run-job.sh and list-jobs.sh. Python's standard library and gcloud only.

gcloud deploys jobs (`run jobs replace`). Everything else is read and written straight over the services' REST interfaces with
gcloud's own credentials, proxy and endpoints: gcloud has no command that reads many IAM policies at once or adds several members
to one, none for access lists of datasets, and takes a second for each start.
"""
