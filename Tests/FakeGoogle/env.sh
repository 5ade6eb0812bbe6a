# shellcheck shell=bash
# Source this: points gcloud, and with it the scripts, at the fake that server.py runs with --dir "$FAKE_GOOGLE_VAR".
FAKE_GOOGLE_PORT=$(cat "${FAKE_GOOGLE_VAR:?set it to the --dir of server.py}/port")
FAKE_GOOGLE_URL="http://127.0.0.1:$FAKE_GOOGLE_PORT"
export FAKE_GOOGLE_VAR FAKE_GOOGLE_PORT FAKE_GOOGLE_URL
# The fake is an HTTP proxy, so that host names with their regions stay real.
export CLOUDSDK_PROXY_TYPE=http CLOUDSDK_PROXY_ADDRESS=127.0.0.1 CLOUDSDK_PROXY_PORT="$FAKE_GOOGLE_PORT"
for service in run cloudscheduler iam cloudresourcemanager secretmanager logging monitoring serviceusage artifactregistry \
    containeranalysis cloudbuild storage; do
    export "CLOUDSDK_API_ENDPOINT_OVERRIDES_${service^^}=http://$service.googleapis.com/"
done
unset service
export CLOUDSDK_API_ENDPOINT_OVERRIDES_BIGQUERY="$FAKE_GOOGLE_URL/"
export CLOUDSDK_AUTH_TOKEN_HOST="$FAKE_GOOGLE_URL/token" CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE="$FAKE_GOOGLE_VAR/tls.pem"
export CLOUDSDK_CONFIG="$FAKE_GOOGLE_VAR/gcloud" CLOUDSDK_CORE_DISABLE_PROMPTS=1 CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=1
export CLOUDSDK_SURVEY_DISABLE_PROMPTS=1 CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=1 CLOUDSDK_CORE_CHECK_GCE_METADATA=0
unset CLOUDSDK_AUTH_ACCESS_TOKEN CLOUDSDK_AUTH_ACCESS_TOKEN_FILE CLOUDSDK_CORE_ACCOUNT CLOUDSDK_CORE_PROJECT
if [[ ! -s "$CLOUDSDK_CONFIG/credentials.db" ]]; then
    gcloud auth activate-service-account --key-file="$FAKE_GOOGLE_VAR/key.json" --quiet >/dev/null 2>&1 ||
        echo "the fake service account could not be activated" >&2
fi
