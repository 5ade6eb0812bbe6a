"""What a former deployment leaves behind. It is shown with the commands that remove it; nothing here runs them."""
import dataclasses
import shlex

from . import ownership
from .comparison import container_of
from .live import dataset_grants
from .takeover import kept_jobs, strangers

# Other services of a project may use these accounts.
SHARED = ("-compute@developer.gserviceaccount.com", "@appspot.gserviceaccount.com", "@cloudbuild.gserviceaccount.com")


@dataclasses.dataclass
class Leftover:
    text: str
    commands: list
    target: str = ""  # the deployed job that it starts


def leftovers(desired, live):
    """Triggers of others that start our jobs, accounts with roles that no job of jobs.yaml uses, and secrets that were mounted."""
    return [*triggers(desired, live), *accounts(desired, live), *secrets(desired, live)]


def command(desired, *words):
    return shlex.join(["gcloud", *words, f"--project={desired.project}"])


def triggers(desired, live):
    ours = ownership.our_jobs(desired, live)
    everywhere = [(desired.region, t) for n, t in live.triggers.items() if n not in desired.triggers] + live.triggers_elsewhere
    for region, trigger in everywhere:
        target, name = ownership.started_job(desired, trigger), trigger["name"].split("/")[-1]
        if target not in ours or ownership.of_trigger(desired, live, trigger):
            continue
        account, state = ownership.account_of(trigger), " (paused)" if trigger.get("state") == "PAUSED" else ""
        yield Leftover(
            f"trigger {name} in {region} also starts {target[1]}{' of ' + target[0] if target[0] != desired.region else ''}: "
            f"{trigger.get('schedule')}, as {account or 'nobody'}{state}",
            [command(desired, "scheduler", "jobs", "delete", name, f"--location={region}")], target[1])


def task_of(job):
    return job["spec"]["template"]["spec"]["template"]["spec"]


def former_accounts(desired, live):
    """The accounts that served these jobs before: of jobs and triggers without our mark that have our names or start our jobs, and
    accounts within the prefix of the jobs."""
    jobs, found = strangers(desired, live)
    emails = {task_of(job).get("serviceAccountName", "") for job in jobs.values()}
    ours = ownership.our_jobs(desired, live)
    others = [*found.values(), *live.triggers.values(), *(t for _, t in live.triggers_elsewhere)]
    emails |= {ownership.account_of(t) for t in others if ownership.started_job(desired, t) in ours}
    emails |= {email for email in live.accounts if desired.owns(email.partition("@")[0])}
    used = {a["email"] for a in desired.accounts} | {e for e, a in live.accounts.items() if ownership.of_account(desired, a)}
    return sorted(emails - used - ownership.trigger_accounts(desired, live) - {""})


def accounts(desired, live):
    if live.access_refusal:
        return
    for email in former_accounts(desired, live):
        member, roles, commands = f"serviceAccount:{email}", [], []

        def take(role, place, *words):
            roles.append(f"{role.split('/')[-1]}{place}")
            commands.append(command(desired, *words, f"--member={member}", f"--role={role}"))
        for role in roles_of(live.project_grants, member):
            take(role, "", "projects", "remove-iam-policy-binding", desired.project, "--condition=None")
        for secret, pairs in live.secret_grants.items():
            for role in roles_of(pairs, member):
                take(role, f" on secret {secret}", "secrets", "remove-iam-policy-binding", secret)
        for job, pairs in live.job_grants.items():
            for role in roles_of(pairs, member):
                take(role, f" on job {job}", "run", "jobs", "remove-iam-policy-binding", job, f"--region={desired.region}")
        for name, dataset in live.datasets.items():
            for role in roles_of(dataset_grants(dataset), member):
                roles.append(f"{role.split('/')[-1]} on dataset {name}")
                statement = f'REVOKE `{role}` ON SCHEMA `{desired.project}.{name}` FROM "{member}"'
                commands.append(shlex.join(["bq", "query", f"--project_id={desired.project}", "--use_legacy_sql=false", statement]))
        if not roles:
            continue
        users, is_shared = users_of(desired, live, email), email.endswith(SHARED)
        notes = [f"still used by {', '.join(users)}"] if users else []
        notes += ["other services of the project may use this account"] if is_shared else []
        if email in live.accounts and not users and not is_shared:
            commands.append(command(desired, "iam", "service-accounts", "disable", email))
        yield Leftover(f"account {email} has {', '.join(roles)}; no job of jobs.yaml uses it" + "".join(f"; {n}" for n in notes), commands)


def roles_of(pairs, member):
    return sorted(role for role, who in pairs if who == member)


def users_of(desired, live, email):
    """The jobs and triggers of others that use an account and stay as they are."""
    kept = [f"job {n}" for n, job in live.jobs.items() if n not in desired.resources and task_of(job).get("serviceAccountName") == email]
    kept += [f"job {job['metadata']['name']} in {region}" for region, job in live.jobs_elsewhere
             if task_of(job).get("serviceAccountName") == email]
    everywhere = [(desired.region, t) for n, t in live.triggers.items() if n not in desired.triggers] + live.triggers_elsewhere
    ours = ownership.our_jobs(desired, live)
    return kept + [f"trigger {t['name'].split('/')[-1]} in {region}" for region, t in everywhere
                   if ownership.account_of(t) == email and ownership.started_job(desired, t) not in ours]


def secrets(desired, live):
    """The secrets that jobs without our mark mount, or mounted before they were taken over, and that no job of jobs.yaml mounts."""
    mounted = {}
    for name, job in (kept_jobs(desired) | strangers(desired, live)[0]).items():
        for secret in (secrets_of(job) & live.secret_names) - set(desired.all_secrets):
            mounted.setdefault(secret, []).append(name)
    for secret, jobs in sorted(mounted.items()):
        yield Leftover(f"secret {secret} was mounted by {', '.join(jobs)}; no job of jobs.yaml mounts it",
                       [command(desired, "secrets", "delete", secret)])


def secrets_of(job):
    """The names of the secrets that a job has as variables and as files."""
    variables = [v.get("valueFrom", {}).get("secretKeyRef", {}).get("name") for v in container_of(job).get("env", [])]
    files = [v.get("secret", {}).get("secretName") for v in task_of(job).get("volumes", [])]
    return {name for name in variables + files if name}
