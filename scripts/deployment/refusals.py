"""What a refusal means for the person who reads it: the service, the resource, what is missing, and the command to run."""
import re

# Each service's name, and the roles of docs/deployment.md: one to read, one to change.
SERVICES = {
    "run": ("Cloud Run", "roles/run.viewer", "roles/run.admin"),
    "cloudscheduler": ("Cloud Scheduler", "roles/cloudscheduler.viewer", "roles/cloudscheduler.admin"),
    "iam": ("IAM", "roles/iam.serviceAccountAdmin", "roles/iam.serviceAccountAdmin"),
    "cloudresourcemanager": ("Resource Manager", "roles/resourcemanager.projectIamAdmin", "roles/resourcemanager.projectIamAdmin"),
    "secretmanager": ("Secret Manager", "roles/secretmanager.admin", "roles/secretmanager.admin"),
    "bigquery": ("BigQuery", "roles/bigquery.dataOwner", "roles/bigquery.dataOwner"),
    "monitoring": ("Cloud Monitoring", "roles/monitoring.viewer", "roles/monitoring.editor"),
    "logging": ("Cloud Logging", "roles/logging.viewer", "roles/logging.configWriter"),
    "serviceusage": ("Service Usage", "roles/serviceusage.serviceUsageConsumer", "roles/serviceusage.serviceUsageAdmin"),
    "artifactregistry": ("Artifact Registry", "roles/artifactregistry.reader", "roles/artifactregistry.reader"),
}
TITLES = {
    "roles/run.viewer": "Cloud Run Viewer", "roles/run.admin": "Cloud Run Admin", "roles/run.developer": "Cloud Run Developer",
    "roles/cloudscheduler.viewer": "Cloud Scheduler Viewer", "roles/cloudscheduler.admin": "Cloud Scheduler Admin",
    "roles/iam.serviceAccountAdmin": "Service Account Admin", "roles/iam.serviceAccountUser": "Service Account User",
    "roles/iam.roleAdmin": "Role Administrator", "roles/resourcemanager.projectIamAdmin": "Project IAM Admin",
    "roles/secretmanager.admin": "Secret Manager Admin", "roles/bigquery.dataOwner": "BigQuery Data Owner",
    "roles/monitoring.viewer": "Monitoring Viewer", "roles/monitoring.editor": "Monitoring Editor", "roles/logging.viewer": "Logs Viewer",
    "roles/logging.configWriter": "Logs Configuration Writer",
    "roles/serviceusage.serviceUsageConsumer": "Service Usage Consumer", "roles/serviceusage.serviceUsageAdmin": "Service Usage Admin",
    "roles/artifactregistry.reader": "Artifact Registry Reader"}
DISABLED = ("SERVICE_DISABLED", "has not been used in project", "it is disabled")
SAID = "Somebody who may grant it runs:"
# Verbs at the end of a path that change nothing.
READING = (":getIamPolicy", ":testIamPermissions", "entries:list")


def explained(error, project, account, method, service, path):
    """What was refused, with the service and the resource, and what to do about it; the latter is empty where nobody can tell."""
    if not error.status:
        return str(error), ""
    where = f"{error} ({SERVICES.get(service, (service,))[0]}, {resource(path)})"
    if error.status == 401:
        return where, "Sign in again: gcloud auth login"
    if error.status != 403:
        return where, ""
    if is_disabled(error):
        return where, f"Enable the service: gcloud services enable {service}.googleapis.com --project={project}"
    return where, missing(str(error), project, account, method, service, path)


def is_disabled(error):
    return any(sign in f"{error.reason} {error}" for sign in DISABLED)


def missing(text, project, account, method, service, path=""):
    """The permission, where the service names it, the role that has it, and the command that grants the role."""
    permission = re.search(r"\b([a-z]+(?:\.[a-zA-Z]+){2,})\b", text.replace("googleapis.com", ""))
    role = role_for(text, method, service, path)
    named = f"The permission {permission[1]} is missing; {TITLES[role]} has it." if permission else f"The role {TITLES[role]} has what is missing."
    return f"{named} {SAID} {grant(project, account, role)}"


def role_for(text, method, service, path):
    if "actas" in text.lower():
        return "roles/iam.serviceAccountUser"
    if service == "iam" and "/roles" in path:
        return "roles/iam.roleAdmin"
    if "serviceusage.services.use" in text:
        return "roles/serviceusage.serviceUsageConsumer"
    if service == "run" and path.endswith(":run"):
        return "roles/run.developer"
    _, reading, changing = SERVICES.get(service, (service, "roles/serviceusage.serviceUsageConsumer", "roles/serviceusage.serviceUsageConsumer"))
    # Reading an access policy needs more than to look at the resource.
    is_policy = path.endswith(":getIamPolicy")
    return reading if (method == "GET" or path.endswith(READING)) and not is_policy else changing


def grant(project, account, role):
    kind = "serviceAccount" if account.endswith("gserviceaccount.com") else "user"
    return f"gcloud projects add-iam-policy-binding {project} --member={kind}:{account or 'ACCOUNT'} --role={role} --condition=None"


def resource(path):
    """`jobs/cloudact-bootstrap` of a path of a service, without the project and the version."""
    found = re.sub(r"^(apis/run\.googleapis\.com/)?(bigquery/)?v\d/", "", path)
    found = re.sub(r"^(projects|namespaces)/([^/:]+)", r"project \2", found)
    project, slash, rest = found.partition("/")
    # The verb says what was tried; a person knows that from the line in which this stands.
    rest = re.sub(r":\w+$", "", re.sub(r"^locations/[^/]+/", "", rest))
    return f"{rest} in {project}" if slash and project.startswith("project ") else re.sub(r":\w+$", "", found)
