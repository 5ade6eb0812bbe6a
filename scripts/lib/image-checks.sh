# shellcheck shell=bash disable=SC2154
# The checks of one built image, for scripts/check-image.sh, which defines `storage`, `driver`, `work`,
# `servers` and `executables`.

problems=0
limit=16000000

problem() {
    printf '  %s\n' "$*" >&2
    problems=$((problems + 1))
}

# The emulator of BigQuery, and a server whose certificate no authority signed that an image knows.
start_servers() {
    say "starting the emulator"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=warehouse.test -addext subjectAltName=DNS:warehouse.test \
        -keyout "$work/key.pem" -out "$work/authority.pem" 2>/dev/null
    .venv/bin/python - "$work" >"$work/tls" 2>"$work/tls.log" <<'PYTHON' &
import http.server, ssl, sys
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{sys.argv[1]}/authority.pem", f"{sys.argv[1]}/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", server.server_port, flush=True)
server.serve_forever()
PYTHON
    servers+=($!)
    .venv/bin/python Tests/Emulator/emulator.py --exit-with $$ >"$work/emulator" 2>"$work/emulator.log" &
    servers+=($!)
    emulator="$(port_in "$work/emulator")" tls="$(port_in "$work/tls")"
}

# The port that a server writes when it is ready.
port_in() {
    local _
    for _ in {1..300}; do
        if sed -n 's/^ready //p' "$1" | grep . ; then return; fi
        sleep 0.2
    done
    fail "a server did not start: $(tail -n 3 "$1.log")"
}

# expect CODE WHAT VARIABLE=VALUE... -- ARGUMENT...: runs the job in the container, as the image's own user.
expect() {
    local wanted="$1" what="$2" code=0 variables=()
    shift 2
    while [[ "$1" != -- ]]; do
        variables+=(--env "$1")
        shift
    done
    timeout 120 buildah --root "$work/storage" --runroot "$work/run" --storage-driver "$driver" run "${variables[@]}" \
        "$container" -- /usr/local/bin/job "${@:2}" >"$work/output" 2>&1 || code=$?
    if ((code != wanted)); then
        problem "$what: exit code $code instead of $wanted"
        tail -n 5 "$work/output" >&2
    fi
}

# check_image EXECUTABLE
check_image() {
    local name="$1" root size user file container
    local image="localhost/check/${name,,}"
    container="$(storage from --pull-never --add-host warehouse.test:127.0.0.1 "$image")"
    root="$(storage mount "$container")"

    # The layers as docker compresses them; buildah trades a tenth of the size for speed.
    rm -rf "$work/registry"
    storage push --quiet "$image" "oci:$work/registry:image" >/dev/null
    size="$(for file in "$work"/registry/blobs/sha256/*; do
        if gzip --test "$file" 2>/dev/null; then gzip --decompress --stdout <"$file" | gzip; else cat "$file"; fi
    done | wc -c)"
    say "$name: $(awk '{ printf "%.1f", $1 / 1e6 }' <<<"$size") MB compressed"
    echo "$size $name" >>"$work/sizes"
    ((size <= limit)) || problem "the image has $size bytes compressed, more than $limit"

    user="$(storage inspect --type image --format '{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}}' "$image")"
    [[ "$user" == "65532:65532 [/usr/local/bin/job]" ]] || problem "user and entry point are $user"
    [[ "$(storage inspect --type image --format '{{index .OCIv1.Config.Labels "org.opencontainers.image.title"}}' "$image")" == "$name" ]] ||
        problem "the title of the image is not $name"

    while IFS= read -r file; do
        case "$file" in
            usr/local/bin/job | etc/passwd | etc/group | etc/nsswitch.conf | etc/ssl/certs/ca-certificates.crt) ;;
            lib*/*.so | lib*/*.so.* | usr/lib/*.so | usr/lib/*.so.*) ;;
            *) problem "the image has /$file, which no job needs" ;;
        esac
    done < <(cd "$root" && find . -mindepth 1 ! -type d -printf '%P\n')
    find "$root" -type f -name '*.so*' -printf '%f\n' | sort -u >"$work/libraries"

    while IFS= read -r file; do
        if readelf -d "$file" | grep -qE '\((RPATH|RUNPATH)\)'; then problem "${file#"$root"} has an RPATH or a RUNPATH"; fi
    done < <(find "$root/usr/local/bin" "$root"/lib* -type f)
    readelf -lW "$root/usr/local/bin/job" | grep -q GNU_RELRO || problem "the binary has no RELRO"
    readelf -dW "$root/usr/local/bin/job" | grep -qE 'BIND_NOW|Flags:.* NOW' || problem "the binary's RELRO is not full: the loader binds late"
    readelf -hW "$root/usr/local/bin/job" | grep -q 'DYN (' || problem "the binary is not position-independent"
    if readelf -SW "$root/usr/local/bin/job" | grep -q ' \.symtab '; then problem "the binary is not stripped"; fi

    # The loader of the image itself says what it finds.
    loader="$(readelf -lW "$root/usr/local/bin/job" | sed -n 's/.*program interpreter: \(.*\)]/\1/p')"
    chroot "$root" "$loader" --list /usr/local/bin/job >"$work/output" 2>&1 || problem "the loader cannot load the binary"
    if grep 'not found' "$work/output" >&2; then problem "libraries are missing"; fi
    awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' "$work/output" | sed 's|.*/||' >>"$work/loaded"

    expect 0 "--version" -- --version
    expect 78 "no configuration" --
    expect 75 "a warehouse that refuses connections" GCP_PROJECT_ID=demo-project ENVIRONMENT=test \
        BIGQUERY_EMULATOR_HOST=http://127.0.0.1:9 DEADLINE_SECONDS=3 STRIPE_SECRET_KEY=sk_test_none CA_ROOT_API_KEY=none \
        STRIPE_API_BASE=http://127.0.0.1:9 -- --date 2026-01-01
    case "$name" in
        BootstrapJob | BootstrapSyncJob | QuotaCleanupJob)
            # libcurl answers "localhost" itself; for another name it asks the C library.
            expect 0 "a run against the emulator" GCP_PROJECT_ID=image-check ENVIRONMENT=test \
                "BIGQUERY_EMULATOR_HOST=http://warehouse.test:$emulator" DEADLINE_SECONDS=100 -- ;;
    esac
    storage rm "$container" >/dev/null
}

# Every library of the images is loaded by some job.
check_libraries() {
    local library
    while IFS= read -r library; do
        problem "no job loads $library"
    done < <(comm -23 "$work/libraries" <(sort -u "$work/loaded"))
}

# check_certificates EXECUTABLE: certificates are verified with the authorities of the image.
check_certificates() {
    local container root known
    say "certificates, in the image of $1"
    container="$(storage from --pull-never --add-host warehouse.test:127.0.0.1 "localhost/check/${1,,}")"
    root="$(storage mount "$container")"
    known="$(grep -c 'BEGIN CERTIFICATE' "$root/etc/ssl/certs/ca-certificates.crt" || true)"
    ((known > 50)) || problem "the image knows $known certificate authorities"
    local settings=(GCP_PROJECT_ID=image-check ENVIRONMENT=test "BIGQUERY_EMULATOR_HOST=https://warehouse.test:$tls" DEADLINE_SECONDS=10)
    expect 1 "a server of an unknown authority" "${settings[@]}" --
    grep -qiE 'self.signed certificate|unable to get local issuer' "$work/output" ||
        problem "the refusal does not name the certificate: $(tail -n 3 "$work/output")"
    cat "$work/authority.pem" >>"$root/etc/ssl/certs/ca-certificates.crt"
    expect 1 "a server of a known authority, which is no BigQuery" "${settings[@]}" --
    if grep -qi certificate "$work/output"; then problem "a known authority is refused: $(tail -n 3 "$work/output")"; fi
    storage rm "$container" >/dev/null
}
