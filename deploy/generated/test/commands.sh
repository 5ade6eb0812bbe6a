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
gcloud services enable artifactregistry.googleapis.com bigquery.googleapis.com cloudresourcemanager.googleapis.com cloudscheduler.googleapis.com iam.googleapis.com logging.googleapis.com monitoring.googleapis.com run.googleapis.com secretmanager.googleapis.com --project=cloudact-testing-1

# Secrets: these must exist, each with a version
# gcloud secrets create stripe-secret-key-test --replication-policy=automatic --data-file=- --project=cloudact-testing-1

# Accounts
gcloud iam service-accounts create ca-test-bootstrap --display-name='cloudact-bootstrap (test)' --description='Creates the datasets organizations and scheduler_jobs with all of their tables.' --project=cloudact-testing-1
gcloud iam service-accounts create ca-test-bootstrap-sync --display-name='cloudact-bootstrap-sync (test)' --description='Adds missing columns to the tables of the datasets organizations and scheduler_jobs.' --project=cloudact-testing-1
gcloud iam service-accounts create ca-test-org-sync-all --display-name='cloudact-org-sync-all (test)' --description='Creates and evolves the dataset of every active organization.' --project=cloudact-testing-1
gcloud iam service-accounts create ca-test-quota-reset-daily --display-name='cloudact-quota-reset-daily (test)' --description='Opens the day'\''s quota counters of every active organization.' --project=cloudact-testing-1
gcloud iam service-accounts create ca-test-quota-reset-monthly --display-name='cloudact-quota-reset-monthly (test)' --description='Recounts the monthly quota counter of every active organization on the first of a month.' --project=cloudact-testing-1
gcloud iam service-accounts create ca-test-stale-cleanup --display-name='cloudact-stale-cleanup (test)' --description='Marks crashed pipeline runs as failed and repairs the concurrent counters.' --project=cloudact-testing-1
gcloud iam service-accounts create ca-test-quota-cleanup --display-name='cloudact-quota-cleanup (test)' --description='Deletes old rows of the quota counters, the run history and the billing queue.' --project=cloudact-testing-1
gcloud iam service-accounts create ca-test-billing-sync-retry --display-name='cloudact-billing-sync-retry (test)' --description='Works off the queue of billing syncs: Stripe'\''s state into the warehouse.' --project=cloudact-testing-1
gcloud iam service-accounts create ca-test-billing-sync-reconcile --display-name='cloudact-billing-sync-reconcile (test)' --description='Compares all Stripe subscriptions with the warehouse and corrects the warehouse.' --project=cloudact-testing-1
gcloud iam service-accounts create ca-test-verify --display-name='cloudact-verify (test)' --description='Checks the invariants of all other jobs and appends the result to a chain of digests.' --project=cloudact-testing-1
gcloud iam service-accounts create ca-test-trigger --display-name='Triggers of the scheduler jobs (test)' --description='Cloud Scheduler starts the scheduler jobs as this account.' --project=cloudact-testing-1

# Custom roles
gcloud iam roles create cloudact_row_reader --title='Reads the rows of tables' --description='For the scheduler jobs of test.' --permissions=bigquery.tables.getData --stage=GA --project=cloudact-testing-1
gcloud iam roles create cloudact_schema_reader --title='Reads the definitions of tables' --description='For the scheduler jobs of test.' --permissions=bigquery.tables.get,bigquery.tables.list --stage=GA --project=cloudact-testing-1
gcloud iam roles create cloudact_row_writer --title='Reads and changes the rows of tables' --description='For the scheduler jobs of test.' --permissions=bigquery.tables.getData,bigquery.tables.updateData --stage=GA --project=cloudact-testing-1
gcloud iam roles create cloudact_table_creator --title='Creates the tables of a dataset' --description='For the scheduler jobs of test.' --permissions=bigquery.routines.get,bigquery.routines.list,bigquery.tables.create,bigquery.tables.get,bigquery.tables.list --stage=GA --project=cloudact-testing-1
gcloud iam roles create cloudact_table_updater --title='Changes the definitions of the tables of a dataset' --description='For the scheduler jobs of test.' --permissions=bigquery.routines.get,bigquery.routines.list,bigquery.tables.get,bigquery.tables.list,bigquery.tables.update --stage=GA --project=cloudact-testing-1
gcloud iam roles create cloudact_organization_schema --title='Creates and evolves the datasets of organizations' --description='For the scheduler jobs of test.' --permissions=bigquery.datasets.create,bigquery.datasets.get,bigquery.routines.get,bigquery.routines.list,bigquery.tables.create,bigquery.tables.get,bigquery.tables.list,bigquery.tables.update --stage=GA --project=cloudact-testing-1

# Datasets
bq --location=US mk --dataset --description='Organizations, their subscriptions, quotas, runs and settings' --label=managed_by:scheduler-jobs --label=environment:test cloudact-testing-1:organizations
bq --location=US mk --dataset --description='State of the scheduler jobs: leases, billing sync queue, run history' --label=managed_by:scheduler-jobs --label=environment:test cloudact-testing-1:scheduler_jobs

# Roles on the project
gcloud projects add-iam-policy-binding cloudact-testing-1 --member=serviceAccount:ca-test-org-sync-all@cloudact-testing-1.iam.gserviceaccount.com --role=projects/cloudact-testing-1/roles/cloudact_organization_schema --condition=None --project=cloudact-testing-1
gcloud projects add-iam-policy-binding cloudact-testing-1 --member=serviceAccount:ca-test-verify@cloudact-testing-1.iam.gserviceaccount.com --role=projects/cloudact-testing-1/roles/cloudact_schema_reader --condition=None --project=cloudact-testing-1
gcloud projects add-iam-policy-binding cloudact-testing-1 --member=serviceAccount:ca-test-billing-sync-reconcile@cloudact-testing-1.iam.gserviceaccount.com --role=roles/bigquery.jobUser --condition=None --project=cloudact-testing-1
gcloud projects add-iam-policy-binding cloudact-testing-1 --member=serviceAccount:ca-test-billing-sync-retry@cloudact-testing-1.iam.gserviceaccount.com --role=roles/bigquery.jobUser --condition=None --project=cloudact-testing-1
gcloud projects add-iam-policy-binding cloudact-testing-1 --member=serviceAccount:ca-test-bootstrap-sync@cloudact-testing-1.iam.gserviceaccount.com --role=roles/bigquery.jobUser --condition=None --project=cloudact-testing-1
gcloud projects add-iam-policy-binding cloudact-testing-1 --member=serviceAccount:ca-test-bootstrap@cloudact-testing-1.iam.gserviceaccount.com --role=roles/bigquery.jobUser --condition=None --project=cloudact-testing-1
gcloud projects add-iam-policy-binding cloudact-testing-1 --member=serviceAccount:ca-test-org-sync-all@cloudact-testing-1.iam.gserviceaccount.com --role=roles/bigquery.jobUser --condition=None --project=cloudact-testing-1
gcloud projects add-iam-policy-binding cloudact-testing-1 --member=serviceAccount:ca-test-quota-cleanup@cloudact-testing-1.iam.gserviceaccount.com --role=roles/bigquery.jobUser --condition=None --project=cloudact-testing-1
gcloud projects add-iam-policy-binding cloudact-testing-1 --member=serviceAccount:ca-test-quota-reset-daily@cloudact-testing-1.iam.gserviceaccount.com --role=roles/bigquery.jobUser --condition=None --project=cloudact-testing-1
gcloud projects add-iam-policy-binding cloudact-testing-1 --member=serviceAccount:ca-test-quota-reset-monthly@cloudact-testing-1.iam.gserviceaccount.com --role=roles/bigquery.jobUser --condition=None --project=cloudact-testing-1
gcloud projects add-iam-policy-binding cloudact-testing-1 --member=serviceAccount:ca-test-stale-cleanup@cloudact-testing-1.iam.gserviceaccount.com --role=roles/bigquery.jobUser --condition=None --project=cloudact-testing-1
gcloud projects add-iam-policy-binding cloudact-testing-1 --member=serviceAccount:ca-test-verify@cloudact-testing-1.iam.gserviceaccount.com --role=roles/bigquery.jobUser --condition=None --project=cloudact-testing-1

# Roles on datasets
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_table_creator` ON SCHEMA `cloudact-testing-1`.`organizations` TO "serviceAccount:ca-test-bootstrap@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_table_updater` ON SCHEMA `cloudact-testing-1`.`organizations` TO "serviceAccount:ca-test-bootstrap-sync@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_writer` ON SCHEMA `cloudact-testing-1`.`scheduler_jobs` TO "serviceAccount:ca-test-bootstrap@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_table_creator` ON SCHEMA `cloudact-testing-1`.`scheduler_jobs` TO "serviceAccount:ca-test-bootstrap@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_table_updater` ON SCHEMA `cloudact-testing-1`.`scheduler_jobs` TO "serviceAccount:ca-test-bootstrap-sync@cloudact-testing-1.iam.gserviceaccount.com"'

# Access to secrets
gcloud secrets add-iam-policy-binding stripe-secret-key-test --member=serviceAccount:ca-test-billing-sync-reconcile@cloudact-testing-1.iam.gserviceaccount.com --role=roles/secretmanager.secretAccessor --project=cloudact-testing-1
gcloud secrets add-iam-policy-binding stripe-secret-key-test --member=serviceAccount:ca-test-billing-sync-retry@cloudact-testing-1.iam.gserviceaccount.com --role=roles/secretmanager.secretAccessor --project=cloudact-testing-1

# Jobs
gcloud run jobs replace jobs/cloudact-bootstrap.yaml --region=us-central1 --project=cloudact-testing-1
gcloud run jobs replace jobs/cloudact-bootstrap-sync.yaml --region=us-central1 --project=cloudact-testing-1
gcloud run jobs replace jobs/cloudact-org-sync-all.yaml --region=us-central1 --project=cloudact-testing-1
gcloud run jobs replace jobs/cloudact-quota-reset-daily.yaml --region=us-central1 --project=cloudact-testing-1
gcloud run jobs replace jobs/cloudact-quota-reset-monthly.yaml --region=us-central1 --project=cloudact-testing-1
gcloud run jobs replace jobs/cloudact-stale-cleanup.yaml --region=us-central1 --project=cloudact-testing-1
gcloud run jobs replace jobs/cloudact-quota-cleanup.yaml --region=us-central1 --project=cloudact-testing-1
gcloud run jobs replace jobs/cloudact-billing-sync-retry.yaml --region=us-central1 --project=cloudact-testing-1
gcloud run jobs replace jobs/cloudact-billing-sync-reconcile.yaml --region=us-central1 --project=cloudact-testing-1
gcloud run jobs replace jobs/cloudact-verify.yaml --region=us-central1 --project=cloudact-testing-1

# Permission to start each job
gcloud run jobs add-iam-policy-binding cloudact-quota-reset-daily --region=us-central1 --member=serviceAccount:ca-test-trigger@cloudact-testing-1.iam.gserviceaccount.com --role=roles/run.invoker --project=cloudact-testing-1
gcloud run jobs add-iam-policy-binding cloudact-quota-reset-monthly --region=us-central1 --member=serviceAccount:ca-test-trigger@cloudact-testing-1.iam.gserviceaccount.com --role=roles/run.invoker --project=cloudact-testing-1
gcloud run jobs add-iam-policy-binding cloudact-stale-cleanup --region=us-central1 --member=serviceAccount:ca-test-trigger@cloudact-testing-1.iam.gserviceaccount.com --role=roles/run.invoker --project=cloudact-testing-1
gcloud run jobs add-iam-policy-binding cloudact-quota-cleanup --region=us-central1 --member=serviceAccount:ca-test-trigger@cloudact-testing-1.iam.gserviceaccount.com --role=roles/run.invoker --project=cloudact-testing-1
gcloud run jobs add-iam-policy-binding cloudact-billing-sync-retry --region=us-central1 --member=serviceAccount:ca-test-trigger@cloudact-testing-1.iam.gserviceaccount.com --role=roles/run.invoker --project=cloudact-testing-1
gcloud run jobs add-iam-policy-binding cloudact-billing-sync-reconcile --region=us-central1 --member=serviceAccount:ca-test-trigger@cloudact-testing-1.iam.gserviceaccount.com --role=roles/run.invoker --project=cloudact-testing-1
gcloud run jobs add-iam-policy-binding cloudact-verify --region=us-central1 --member=serviceAccount:ca-test-trigger@cloudact-testing-1.iam.gserviceaccount.com --role=roles/run.invoker --project=cloudact-testing-1

# Roles on tables, which the job that creates them has to create first
gcloud run jobs execute cloudact-bootstrap --region=us-central1 --wait --project=cloudact-testing-1
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_reader` ON TABLE `cloudact-testing-1`.`organizations`.`org_audit_logs` TO "serviceAccount:ca-test-verify@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_writer` ON TABLE `cloudact-testing-1`.`organizations`.`org_audit_logs` TO "serviceAccount:ca-test-billing-sync-reconcile@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-billing-sync-retry@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_reader` ON TABLE `cloudact-testing-1`.`organizations`.`org_meta_pipeline_runs` TO "serviceAccount:ca-test-org-sync-all@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-quota-reset-daily@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-quota-reset-monthly@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-verify@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_writer` ON TABLE `cloudact-testing-1`.`organizations`.`org_meta_pipeline_runs` TO "serviceAccount:ca-test-stale-cleanup@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_reader` ON TABLE `cloudact-testing-1`.`organizations`.`org_profiles` TO "serviceAccount:ca-test-org-sync-all@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-quota-reset-daily@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-quota-reset-monthly@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-verify@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_writer` ON TABLE `cloudact-testing-1`.`organizations`.`org_profiles` TO "serviceAccount:ca-test-billing-sync-reconcile@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-billing-sync-retry@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_reader` ON TABLE `cloudact-testing-1`.`organizations`.`org_subscriptions` TO "serviceAccount:ca-test-quota-reset-daily@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-quota-reset-monthly@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-verify@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_writer` ON TABLE `cloudact-testing-1`.`organizations`.`org_subscriptions` TO "serviceAccount:ca-test-billing-sync-reconcile@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-billing-sync-retry@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_reader` ON TABLE `cloudact-testing-1`.`organizations`.`org_usage_quotas` TO "serviceAccount:ca-test-verify@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_writer` ON TABLE `cloudact-testing-1`.`organizations`.`org_usage_quotas` TO "serviceAccount:ca-test-billing-sync-reconcile@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-billing-sync-retry@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-quota-cleanup@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-quota-reset-daily@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-quota-reset-monthly@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-stale-cleanup@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_reader` ON TABLE `cloudact-testing-1`.`scheduler_jobs`.`billing_event_cursor` TO "serviceAccount:ca-test-verify@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_writer` ON TABLE `cloudact-testing-1`.`scheduler_jobs`.`billing_event_cursor` TO "serviceAccount:ca-test-billing-sync-reconcile@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-billing-sync-retry@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_reader` ON TABLE `cloudact-testing-1`.`scheduler_jobs`.`billing_sync_queue` TO "serviceAccount:ca-test-verify@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_writer` ON TABLE `cloudact-testing-1`.`scheduler_jobs`.`billing_sync_queue` TO "serviceAccount:ca-test-billing-sync-reconcile@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-billing-sync-retry@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-quota-cleanup@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_writer` ON TABLE `cloudact-testing-1`.`scheduler_jobs`.`job_leases` TO "serviceAccount:ca-test-billing-sync-reconcile@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-billing-sync-retry@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-quota-cleanup@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-quota-reset-daily@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-quota-reset-monthly@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-stale-cleanup@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-verify@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_writer` ON TABLE `cloudact-testing-1`.`scheduler_jobs`.`job_runs` TO "serviceAccount:ca-test-billing-sync-reconcile@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-billing-sync-retry@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-bootstrap-sync@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-org-sync-all@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-quota-cleanup@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-quota-reset-daily@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-quota-reset-monthly@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-stale-cleanup@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-verify@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_reader` ON TABLE `cloudact-testing-1`.`scheduler_jobs`.`rollouts` TO "serviceAccount:ca-test-verify@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_writer` ON TABLE `cloudact-testing-1`.`scheduler_jobs`.`rollouts` TO "serviceAccount:ca-test-org-sync-all@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_writer` ON TABLE `cloudact-testing-1`.`scheduler_jobs`.`schema_changes` TO "serviceAccount:ca-test-bootstrap-sync@cloudact-testing-1.iam.gserviceaccount.com", "serviceAccount:ca-test-org-sync-all@cloudact-testing-1.iam.gserviceaccount.com"'
bq query --project_id=cloudact-testing-1 --location=US --use_legacy_sql=false 'GRANT `projects/cloudact-testing-1/roles/cloudact_row_writer` ON TABLE `cloudact-testing-1`.`scheduler_jobs`.`verifications` TO "serviceAccount:ca-test-verify@cloudact-testing-1.iam.gserviceaccount.com"'

# Triggers
gcloud scheduler jobs create http cloudact-quota-reset-daily-trigger --location=us-central1 --description='Starts cloudact-quota-reset-daily. Opens the day'\''s quota counters of every active organization.' --schedule='0 0 * * *' --time-zone=Etc/UTC --uri=https://run.googleapis.com/v2/projects/cloudact-testing-1/locations/us-central1/jobs/cloudact-quota-reset-daily:run --http-method=POST --oauth-service-account-email=ca-test-trigger@cloudact-testing-1.iam.gserviceaccount.com --oauth-token-scope=https://www.googleapis.com/auth/cloud-platform --attempt-deadline=180s --max-retry-attempts=3 --max-retry-duration=0s --min-backoff=5s --max-backoff=60s --max-doublings=4 --project=cloudact-testing-1
gcloud scheduler jobs create http cloudact-quota-reset-monthly-trigger --location=us-central1 --description='Starts cloudact-quota-reset-monthly. Recounts the monthly quota counter of every active organization on the first of a month.' --schedule='5 0 1 * *' --time-zone=Etc/UTC --uri=https://run.googleapis.com/v2/projects/cloudact-testing-1/locations/us-central1/jobs/cloudact-quota-reset-monthly:run --http-method=POST --oauth-service-account-email=ca-test-trigger@cloudact-testing-1.iam.gserviceaccount.com --oauth-token-scope=https://www.googleapis.com/auth/cloud-platform --attempt-deadline=180s --max-retry-attempts=3 --max-retry-duration=0s --min-backoff=5s --max-backoff=60s --max-doublings=4 --project=cloudact-testing-1
gcloud scheduler jobs create http cloudact-stale-cleanup-trigger --location=us-central1 --description='Starts cloudact-stale-cleanup. Marks crashed pipeline runs as failed and repairs the concurrent counters.' --schedule='*/15 * * * *' --time-zone=Etc/UTC --uri=https://run.googleapis.com/v2/projects/cloudact-testing-1/locations/us-central1/jobs/cloudact-stale-cleanup:run --http-method=POST --oauth-service-account-email=ca-test-trigger@cloudact-testing-1.iam.gserviceaccount.com --oauth-token-scope=https://www.googleapis.com/auth/cloud-platform --attempt-deadline=180s --max-retry-attempts=3 --max-retry-duration=0s --min-backoff=5s --max-backoff=60s --max-doublings=4 --project=cloudact-testing-1
gcloud scheduler jobs create http cloudact-quota-cleanup-trigger --location=us-central1 --description='Starts cloudact-quota-cleanup. Deletes old rows of the quota counters, the run history and the billing queue.' --schedule='0 1 * * *' --time-zone=Etc/UTC --uri=https://run.googleapis.com/v2/projects/cloudact-testing-1/locations/us-central1/jobs/cloudact-quota-cleanup:run --http-method=POST --oauth-service-account-email=ca-test-trigger@cloudact-testing-1.iam.gserviceaccount.com --oauth-token-scope=https://www.googleapis.com/auth/cloud-platform --attempt-deadline=180s --max-retry-attempts=3 --max-retry-duration=0s --min-backoff=5s --max-backoff=60s --max-doublings=4 --project=cloudact-testing-1
gcloud scheduler jobs create http cloudact-billing-sync-retry-trigger --location=us-central1 --description='Starts cloudact-billing-sync-retry. Works off the queue of billing syncs: Stripe'\''s state into the warehouse.' --schedule='*/5 * * * *' --time-zone=Etc/UTC --uri=https://run.googleapis.com/v2/projects/cloudact-testing-1/locations/us-central1/jobs/cloudact-billing-sync-retry:run --http-method=POST --oauth-service-account-email=ca-test-trigger@cloudact-testing-1.iam.gserviceaccount.com --oauth-token-scope=https://www.googleapis.com/auth/cloud-platform --attempt-deadline=180s --max-retry-attempts=3 --max-retry-duration=0s --min-backoff=5s --max-backoff=60s --max-doublings=4 --project=cloudact-testing-1
gcloud scheduler jobs create http cloudact-billing-sync-reconcile-trigger --location=us-central1 --description='Starts cloudact-billing-sync-reconcile. Compares all Stripe subscriptions with the warehouse and corrects the warehouse.' --schedule='0 2 * * *' --time-zone=Etc/UTC --uri=https://run.googleapis.com/v2/projects/cloudact-testing-1/locations/us-central1/jobs/cloudact-billing-sync-reconcile:run --http-method=POST --oauth-service-account-email=ca-test-trigger@cloudact-testing-1.iam.gserviceaccount.com --oauth-token-scope=https://www.googleapis.com/auth/cloud-platform --attempt-deadline=180s --max-retry-attempts=3 --max-retry-duration=0s --min-backoff=5s --max-backoff=60s --max-doublings=4 --project=cloudact-testing-1
gcloud scheduler jobs create http cloudact-verify-trigger --location=us-central1 --description='Starts cloudact-verify. Checks the invariants of all other jobs and appends the result to a chain of digests.' --schedule='0 3 * * *' --time-zone=Etc/UTC --uri=https://run.googleapis.com/v2/projects/cloudact-testing-1/locations/us-central1/jobs/cloudact-verify:run --http-method=POST --oauth-service-account-email=ca-test-trigger@cloudact-testing-1.iam.gserviceaccount.com --oauth-token-scope=https://www.googleapis.com/auth/cloud-platform --attempt-deadline=180s --max-retry-attempts=3 --max-retry-duration=0s --min-backoff=5s --max-backoff=60s --max-doublings=4 --project=cloudact-testing-1

# Log-based metrics
gcloud logging metrics create scheduler_jobs_test_runs --config-from-file=metrics/scheduler_jobs_test_runs.json --project=cloudact-testing-1
gcloud logging metrics create scheduler_jobs_test_duration --config-from-file=metrics/scheduler_jobs_test_duration.json --project=cloudact-testing-1
gcloud logging metrics create scheduler_jobs_test_failures --config-from-file=metrics/scheduler_jobs_test_failures.json --project=cloudact-testing-1
gcloud logging metrics create scheduler_jobs_test_bytes_billed --config-from-file=metrics/scheduler_jobs_test_bytes_billed.json --project=cloudact-testing-1
gcloud logging metrics create scheduler_jobs_test_organizations --config-from-file=metrics/scheduler_jobs_test_organizations.json --project=cloudact-testing-1
gcloud logging metrics create scheduler_jobs_test_organizations_reset --config-from-file=metrics/scheduler_jobs_test_organizations_reset.json --project=cloudact-testing-1
gcloud logging metrics create scheduler_jobs_test_organizations_changed --config-from-file=metrics/scheduler_jobs_test_organizations_changed.json --project=cloudact-testing-1

# Alerts
gcloud alpha monitoring policies create --policy-from-file=alerts/job-failed.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/trigger-failed.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/job-skipped.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/no-success-quota-reset-daily.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/no-success-quota-reset-monthly.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/no-success-stale-cleanup.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/no-success-quota-cleanup.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/no-success-billing-sync-retry.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/no-success-billing-sync-reconcile.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/no-success-verify.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/over-budget-bootstrap.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/over-budget-bootstrap-sync.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/over-budget-org-sync-all.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/over-budget-quota-reset-daily.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/over-budget-quota-reset-monthly.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/over-budget-stale-cleanup.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/over-budget-quota-cleanup.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/over-budget-billing-sync-retry.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/over-budget-billing-sync-reconcile.json --project=cloudact-testing-1
gcloud alpha monitoring policies create --policy-from-file=alerts/over-budget-verify.json --project=cloudact-testing-1

# Dashboard
gcloud monitoring dashboards create --config-from-file=dashboard.json --project=cloudact-testing-1
