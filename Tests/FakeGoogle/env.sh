# Source this (bash or sh):   . env.sh
# Points the REAL gcloud and bq at the fake that server.py runs. Set beforehand, if you like:
#   FAKE_GOOGLE_VAR     the server's --dir            (default: var/ beside this file)
#   FAKE_GOOGLE_CONFIG  a gcloud config directory     (default: $FAKE_GOOGLE_VAR/gcloud; one per parallel test)
FAKE_GOOGLE_HOME=${FAKE_GOOGLE_HOME:-$(cd "$(dirname "${BASH_SOURCE:-./env.sh}")" && pwd)}
FAKE_GOOGLE_VAR=${FAKE_GOOGLE_VAR:-$FAKE_GOOGLE_HOME/var}
if [ ! -s "$FAKE_GOOGLE_VAR/port" ]; then
    echo "fake Google: start server.py first (no $FAKE_GOOGLE_VAR/port)" >&2
    return 1 2>/dev/null || exit 1
fi
FAKE_GOOGLE_PORT=$(cat "$FAKE_GOOGLE_VAR/port")
export FAKE_GOOGLE_HOME FAKE_GOOGLE_VAR FAKE_GOOGLE_PORT FAKE_GOOGLE_URL="http://127.0.0.1:$FAKE_GOOGLE_PORT"
curl -sf "$FAKE_GOOGLE_URL/__config" -XPOST >/dev/null || echo "fake Google: nothing answers on $FAKE_GOOGLE_URL" >&2

# gcloud sends everything to the fake as an HTTP proxy, so the host names (us-central1-run.googleapis.com) stay real.
export CLOUDSDK_PROXY_TYPE=http CLOUDSDK_PROXY_ADDRESS=127.0.0.1 CLOUDSDK_PROXY_PORT="$FAKE_GOOGLE_PORT"
# Plain http for the APIs that are faked; any other API arrives over TLS and is answered 400 UNIMPLEMENTED.
for _api in run cloudscheduler iam iamcredentials cloudresourcemanager secretmanager logging monitoring serviceusage \
    artifactregistry containeranalysis cloudbuild storage; do
    export "CLOUDSDK_API_ENDPOINT_OVERRIDES_$(echo $_api | tr a-z A-Z)=http://$_api.googleapis.com/"
done
unset _api
export CLOUDSDK_API_ENDPOINT_OVERRIDES_BIGQUERY="$FAKE_GOOGLE_URL/"
export CLOUDSDK_AUTH_TOKEN_HOST="$FAKE_GOOGLE_URL/token"
export CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE="$FAKE_GOOGLE_VAR/tls.pem"
export CLOUDSDK_CONFIG="${FAKE_GOOGLE_CONFIG:-$FAKE_GOOGLE_VAR/gcloud}"
export GOOGLE_APPLICATION_CREDENTIALS="$FAKE_GOOGLE_VAR/key.json"
export CLOUDSDK_CORE_DISABLE_PROMPTS=1 CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=1 CLOUDSDK_SURVEY_DISABLE_PROMPTS=1
export CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=1 CLOUDSDK_CORE_CHECK_GCE_METADATA=0
unset CLOUDSDK_AUTH_ACCESS_TOKEN CLOUDSDK_AUTH_ACCESS_TOKEN_FILE CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE CLOUDSDK_CORE_ACCOUNT CLOUDSDK_CORE_PROJECT

if [ ! -s "$CLOUDSDK_CONFIG/credentials.db" ]; then
    gcloud auth activate-service-account --key-file="$FAKE_GOOGLE_VAR/key.json" --quiet >/dev/null 2>&1 ||
        echo "fake Google: could not activate the fake service account" >&2
fi
