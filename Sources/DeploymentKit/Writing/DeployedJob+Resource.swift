extension DeployedJob {
    /// The Cloud Run Job (`run.googleapis.com/v1`) that `gcloud run jobs replace` takes.
    var resource: Document {
        let task: Document = .map([
            ("maxRetries", .integer(job.retries)),
            ("timeoutSeconds", .integer(job.timeoutSeconds)),
            ("serviceAccountName", .string(environment.accountEmail(job.name))),
            ("containers", [container]),
        ])
        return [
            "apiVersion": "run.googleapis.com/v1",
            "kind": "Job",
            "metadata": ["name": .string(name), "labels": .map(labels)],
            "spec": [
                "template": [
                    "metadata": ["annotations": ["run.googleapis.com/execution-environment": "gen2"]],
                    "spec": [
                        "taskCount": .integer(job.tasks),
                        "parallelism": .integer(job.parallelism),
                        "template": ["spec": task],
                    ],
                ]
            ],
        ]
    }

    private var container: Document {
        let plain: [Document] = variables.map { ["name": .string($0.name), "value": .string($0.value)] }
        let secret: [Document] = secrets.map {
            [
                "name": .string($0.variable),
                "valueFrom": ["secretKeyRef": ["name": .string($0.secret), "key": "latest"]],
            ]
        }
        return .map([
            ("image", .string(image)),
            ("args", arguments.isEmpty ? nil : .strings(arguments)),
            ("env", .array(plain + secret)),
            ("resources", ["limits": ["cpu": .string(String(job.size.cpu)), "memory": .string(job.size.memory)]]),
        ])
    }

    /// Cloud Scheduler's job that starts it, as its REST resource; `nil` where people start it.
    var trigger: Document? {
        guard let schedule = job.schedule, let triggerName else { return nil }
        let place = "projects/\(environment.project)/locations/\(environment.region)"
        return [
            "name": .string("\(place)/jobs/\(triggerName)"),
            "description": .string("Starts \(name). \(job.purpose)"),
            "schedule": .string(schedule.text),
            "timeZone": .string(job.timeZone),
            "state": .string(isPaused ? "PAUSED" : "ENABLED"),
            "attemptDeadline": "180s",
            // Only the start is repeated: the target answers as soon as the execution is created.
            "retryConfig": [
                "retryCount": 3, "maxRetryDuration": "0s", "minBackoffDuration": "5s", "maxBackoffDuration": "60s",
                "maxDoublings": 4,
            ],
            "httpTarget": [
                "uri": .string("https://run.googleapis.com/v2/\(place)/jobs/\(name):run"),
                "httpMethod": "POST",
                "oauthToken": [
                    "serviceAccountEmail": .string(environment.accountEmail(environment.triggerAccount)),
                    "scope": "https://www.googleapis.com/auth/cloud-platform",
                ],
            ],
        ]
    }
}
