#!/usr/bin/env bash
# Written by generate-jobs from jobs.yaml: edit that instead.
#
# The plain commands that would create the environment test in an empty project. To deploy, use
# scripts/create-all-jobs.sh test: it compares first, changes what differs, and can be repeated. These cannot.
# They name images by tag; the script deploys the digest of the tag.
# GRANT quotes names with backticks.
# shellcheck disable=SC2016
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Services
gcloud services enable artifactregistry.googleapis.com bigquery.googleapis.com cloudresourcemanager.googleapis.com cloudscheduler.googleapis.com iam.googleapis.com logging.googleapis.com monitoring.googleapis.com run.googleapis.com secretmanager.googleapis.com --project=demo-project

# Secrets: these must exist, each with a version
# gcloud secrets create stripe-test --replication-policy=automatic --data-file=- --project=demo-project

# Accounts
gcloud iam service-accounts create dm-sweep --display-name='demo-sweep (test)' --description=Sweeps. --project=demo-project
gcloud iam service-accounts create dm-setup --display-name='demo-setup (test)' --description='Sets up.' --project=demo-project
gcloud iam service-accounts create dm-trigger --display-name='Triggers of the scheduler jobs (test)' --description='Cloud Scheduler starts the scheduler jobs as this account.' --project=demo-project

# Custom roles
gcloud iam roles create demo_reader --title='Reads tables' --description='For the scheduler jobs of test.' --permissions=bigquery.tables.get --stage=GA --project=demo-project

# Datasets
bq --location=US mk --dataset --description='The organizations' --label=managed_by:scheduler-jobs --label=environment:test demo-project:organizations

# Roles on the project
gcloud projects add-iam-policy-binding demo-project --member=serviceAccount:dm-sweep@demo-project.iam.gserviceaccount.com --role=projects/demo-project/roles/demo_reader --condition=None --project=demo-project
gcloud projects add-iam-policy-binding demo-project --member=serviceAccount:dm-setup@demo-project.iam.gserviceaccount.com --role=roles/bigquery.jobUser --condition=None --project=demo-project
gcloud projects add-iam-policy-binding demo-project --member=serviceAccount:dm-sweep@demo-project.iam.gserviceaccount.com --role=roles/bigquery.jobUser --condition=None --project=demo-project

# Roles on datasets
bq query --project_id=demo-project --location=US --use_legacy_sql=false 'GRANT `roles/bigquery.dataEditor` ON SCHEMA `demo-project`.`organizations` TO "serviceAccount:dm-sweep@demo-project.iam.gserviceaccount.com"'

# Access to secrets
gcloud secrets add-iam-policy-binding stripe-test --member=serviceAccount:dm-sweep@demo-project.iam.gserviceaccount.com --role=roles/secretmanager.secretAccessor --project=demo-project

# Jobs
gcloud run jobs replace jobs/demo-sweep.yaml --region=us-central1 --project=demo-project
gcloud run jobs replace jobs/demo-setup.yaml --region=us-central1 --project=demo-project

# Permission to start each job
gcloud run jobs add-iam-policy-binding demo-sweep --region=us-central1 --member=serviceAccount:dm-trigger@demo-project.iam.gserviceaccount.com --role=roles/run.invoker --project=demo-project

# Roles on tables, which the job that creates them has to create first
bq query --project_id=demo-project --location=US --use_legacy_sql=false 'GRANT `roles/bigquery.dataViewer` ON TABLE `demo-project`.`organizations`.`usage` TO "serviceAccount:dm-setup@demo-project.iam.gserviceaccount.com"'

# Triggers
gcloud scheduler jobs create http demo-sweep-trigger --location=us-central1 --description='Starts demo-sweep. Sweeps.' --schedule='0 1 * * *' --time-zone=Etc/UTC --uri=https://run.googleapis.com/v2/projects/demo-project/locations/us-central1/jobs/demo-sweep:run --http-method=POST --oauth-service-account-email=dm-trigger@demo-project.iam.gserviceaccount.com --oauth-token-scope=https://www.googleapis.com/auth/cloud-platform --attempt-deadline=180s --max-retry-attempts=3 --max-retry-duration=0s --min-backoff=5s --max-backoff=60s --max-doublings=4 --project=demo-project

# Log-based metrics
gcloud logging metrics create scheduler_jobs_test_runs --config-from-file=metrics/scheduler_jobs_test_runs.json --project=demo-project
gcloud logging metrics create scheduler_jobs_test_duration --config-from-file=metrics/scheduler_jobs_test_duration.json --project=demo-project
gcloud logging metrics create scheduler_jobs_test_failures --config-from-file=metrics/scheduler_jobs_test_failures.json --project=demo-project
gcloud logging metrics create scheduler_jobs_test_bytes_billed --config-from-file=metrics/scheduler_jobs_test_bytes_billed.json --project=demo-project
gcloud logging metrics create scheduler_jobs_test_organizations --config-from-file=metrics/scheduler_jobs_test_organizations.json --project=demo-project
gcloud logging metrics create scheduler_jobs_test_organizations_reset --config-from-file=metrics/scheduler_jobs_test_organizations_reset.json --project=demo-project
gcloud logging metrics create scheduler_jobs_test_organizations_changed --config-from-file=metrics/scheduler_jobs_test_organizations_changed.json --project=demo-project

# Alerts
channel0="$(gcloud beta monitoring channels create --type=email --display-name='Scheduler jobs (test): ops@example.com' --channel-labels=email_address=ops@example.com --user-labels=managed-by=scheduler-jobs,environment=test --format='value(name)' --project=demo-project)"
gcloud alpha monitoring policies create --policy-from-file=alerts/job-failed.json --project=demo-project --notification-channels="$channel0"
gcloud alpha monitoring policies create --policy-from-file=alerts/trigger-failed.json --project=demo-project --notification-channels="$channel0"
gcloud alpha monitoring policies create --policy-from-file=alerts/job-skipped.json --project=demo-project --notification-channels="$channel0"
gcloud alpha monitoring policies create --policy-from-file=alerts/no-success-sweep.json --project=demo-project --notification-channels="$channel0"
gcloud alpha monitoring policies create --policy-from-file=alerts/over-budget-setup.json --project=demo-project --notification-channels="$channel0"

# Dashboard
gcloud monitoring dashboards create --config-from-file=dashboard.json --project=demo-project
